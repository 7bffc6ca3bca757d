//! Questions that come with the journal.

use sluice_contract::ids::{ApiId, QuestionId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::questions::{Ask, Question, Reply};
use sluice_contract::rest::purges::{PurgeAmount, SecondLevelAmount};
use uuid::Uuid;

use super::fake_control::FakeControl;
use super::{Gateway, eventually, part};

#[test]
fn a_question_is_answered_once_after_the_entries_before_it_and_one_that_is_not_known_is_said_to_be() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    let api = ApiId::generate();
    control.release(&part(api, 1));
    let tenant = TenantId(Uuid::nil());
    let ask = |ask| {
        let id = QuestionId::generate();
        control.ask(Question { id, tenant, ask });
        let answer = || control.state().answers.iter().find(|answer| answer.question == id).cloned();
        eventually("an answer", || answer().is_some());
        answer().unwrap().reply
    };
    let nothing = PurgeAmount { entries: 0, bytes: 0, second_level: SecondLevelAmount::None };
    let reply = ask(Ask::PurgeAmount { scope: PurgeScope::Api { api } });
    assert_eq!(reply, Reply::PurgeAmount(nothing));
    assert_eq!(ask(Ask::Unknown), Reply::Unknown);
    assert_eq!(ask(Ask::PurgeAmount { scope: PurgeScope::Everything }), Reply::PurgeAmount(nothing));
    assert_eq!(control.state().answers.len(), 3);
    // The stream goes on as before.
    control.release(&part(api, 2));
    eventually("the next release", || gateway.revision(api) == Some(2));
    gateway.stop();
}
