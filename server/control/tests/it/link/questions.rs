//! Questions to gateways, by the one that the preview of a purge asks.

use serde_json::{Value, json};
use sluice_contract::ids::QuestionId;
use sluice_contract::link::ANSWERS_PATH;
use sluice_contract::questions::{Answer, Ask, Reply};
use sluice_contract::rest::asked::{AskOutcome, FromGateway};
use sluice_contract::rest::purges::{PurgeAmount, PurgePreview, SecondLevelAmount};
use sluice_store::gateways::{self, Heard};
use sluice_testkit::each_database;

use super::simulated::{Served, Simulated, Stream, serve};
use crate::publishing::{draft, make_api};

fn amount(entries: u64) -> Reply {
    Reply::PurgeAmount(PurgeAmount {
        entries,
        bytes: 100 * entries,
        second_level: SecondLevelAmount::Unknown,
    })
}

/// A heartbeat has come and is written.
async fn hear(served: &Served, gateway: &Simulated) {
    let tx = served.store().begin().await.unwrap();
    let heard = Heard { gateway: gateway.id, at: sluice_store::now(), heartbeat: gateway.pulse(0) };
    gateways::hear(&tx, &[heard]).await.unwrap();
    tx.commit().await.unwrap();
}

/// A gateway that was seen and listens.
pub(super) async fn listening(served: &Served) -> (Simulated, Stream) {
    let gateway = served.gateway().await;
    hear(served, &gateway).await;
    let stream = gateway.listen(0).await.unwrap();
    (gateway, stream)
}

async fn preview(served: &Served, scope: Value) -> PurgePreview {
    let body = json!({"environment": served.environment, "scope": scope});
    served.app.admin.post(&served.app.path("/purges/preview"), &body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gateway_s_answer_is_told_apart_and_who_does_not_answer_is_named() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let api = make_api(&served.app, "items", draft()).await.id;
        let (one, mut asked_one) = listening(&served).await;
        let (two, mut asked_two) = listening(&served).await;
        let (silent, _open) = listening(&served).await;
        let (old, mut asked_old) = listening(&served).await;
        let (busy, mut asked_busy) = listening(&served).await;
        // As gateways of before follow; and one that is connected nowhere.
        let before = served.gateway().await;
        hear(&served, &before).await;
        let _stream = before.follow(0).await.unwrap();
        let away = served.gateway().await;
        hear(&served, &away).await;

        let (first, second) = (one.clone(), two.clone());
        let ids = [old.id, busy.id, away.id];
        let answers = tokio::spawn(async move {
            loop {
                let question = asked_one.question().await;
                assert!(matches!(question.ask, Ask::PurgeAmount { .. }), "{question:?}");
                let answer = |reply| Answer { question: question.id, took_us: 7, reply };
                // Not asked that; asked once.
                let stray = Answer { question: QuestionId::generate(), ..answer(amount(50)) };
                first.post(ANSWERS_PATH, &stray).await.unwrap();
                away.post(ANSWERS_PATH, &answer(amount(60))).await.unwrap();
                for entries in [2, 70] {
                    first.post(ANSWERS_PATH, &answer(amount(entries))).await.unwrap();
                }
                assert_eq!(asked_two.question().await, question);
                second.post(ANSWERS_PATH, &answer(amount(3))).await.unwrap();
                assert_eq!(asked_old.question().await, question);
                old.post(ANSWERS_PATH, &answer(Reply::Unknown)).await.unwrap();
                assert_eq!(asked_busy.question().await, question);
                busy.post(ANSWERS_PATH, &answer(Reply::Busy)).await.unwrap();
            }
        });
        // A machine that is slow may need longer than the patience; then only the silent one is left.
        let mut preview = preview(&served, json!({"by": "api", "api": api})).await;
        for _ in 0..20 {
            let late = |told: &&FromGateway<_>| told.outcome == AskOutcome::NoAnswer;
            if preview.gateways.iter().filter(late).count() == 1 {
                break;
            }
            preview = self::preview(&served, json!({"by": "api", "api": api})).await;
        }
        answers.abort();
        let [old, busy, away] = ids;
        let of = |id| {
            let told = preview.gateways.iter().find(|told| told.gateway == id).unwrap();
            (told.outcome, told.took_us, told.answer.map(|amount| amount.entries))
        };
        assert_eq!(of(one.id), (AskOutcome::Answered, Some(7), Some(2)));
        assert_eq!(of(two.id), (AskOutcome::Answered, Some(7), Some(3)));
        assert_eq!(of(silent.id), (AskOutcome::NoAnswer, None, None));
        assert_eq!(of(old), (AskOutcome::Outdated, None, None));
        assert_eq!(of(busy), (AskOutcome::Busy, None, None));
        assert_eq!(of(before.id), (AskOutcome::NotReached, None, None));
        assert_eq!(of(away), (AskOutcome::NotReached, None, None));
        assert_eq!((preview.entries, preview.bytes, preview.gateways.len()), (5, 500, 7));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_connected_to_another_control_plane_is_not_reached_and_its_newest_stream_counts() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let api = make_api(&served.app, "items", draft()).await.id;
        let app = served.app.app.clone();
        let other = sluice_control::App::new(app.settings.clone(), app.store.clone()).await.unwrap();
        let base = serve(&other).await;
        let (gateway, stream) = listening(&served).await;
        let outcome = async || preview(&served, json!({"by": "api", "api": api})).await.gateways[0].outcome;
        // It goes to the other, whose stream ends the first one's only when that has noticed.
        drop(stream);
        let _elsewhere = gateway.clone().at(&base).listen(0).await.unwrap();
        let mut now = outcome().await;
        for _ in 0..100 {
            if now == AskOutcome::NotReached {
                break;
            }
            now = outcome().await;
        }
        assert_eq!(now, AskOutcome::NotReached);
        // Back again, twice: the older stream is asked nothing and its end takes nothing away.
        let older = gateway.listen(0).await.unwrap();
        let mut newer = gateway.listen(0).await.unwrap();
        drop(older);
        let answering = gateway.clone();
        let answers = tokio::spawn(async move {
            loop {
                let question = newer.question().await.id;
                let answer = Answer { question, took_us: 1, reply: amount(1) };
                answering.post(ANSWERS_PATH, &answer).await.unwrap();
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let mut outcomes = Vec::new();
        for _ in 0..20 {
            outcomes.push(outcome().await);
            if outcomes.ends_with(&[AskOutcome::Answered; 3]) {
                break;
            }
        }
        assert!(outcomes.ends_with(&[AskOutcome::Answered; 3]), "{outcomes:?}");
        answers.abort();
        other.stopping.cancel();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_needs_a_session_and_has_a_size() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let answer = |reply| json!({"question": QuestionId::generate(), "took_us": 1, "reply": reply});
        gateway.post(ANSWERS_PATH, &answer(json!({"reply": "busy"}))).await.unwrap();
        let large = answer(json!({"reply": "busy", "more": "x".repeat(2 << 20)}));
        assert_eq!(gateway.post(ANSWERS_PATH, &large).await.unwrap_err().status, 413);
        let wrong = gateway.post(ANSWERS_PATH, &json!({"reply": 7})).await.unwrap_err();
        assert_eq!(wrong.status, 422);
        let stranger = gateway.without_session();
        let refused = stranger.post(ANSWERS_PATH, &answer(json!({"reply": "busy"}))).await.unwrap_err();
        assert_eq!(refused.status, 401);
    })
    .await;
}
