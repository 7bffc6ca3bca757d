//! What tells against sharing.

use sluice_advisor::risk::{Answer, Variety, personal, variety};

fn answer(resource: u64, caller: u64, at_ms: u64, bytes: u64) -> Answer {
    Answer { resource, caller: Some(caller), at_ms, status: 200, bytes }
}

#[test]
fn answers_that_differ_between_callers_who_ask_at_about_the_same_time_are_found() {
    let answers = [
        answer(1, 1, 0, 10),
        answer(1, 2, 100, 10),
        answer(2, 1, 200, 10),
        answer(2, 2, 300, 11),
        answer(2, 1, 350, 11),
        answer(3, 1, 400, 10),
        answer(3, 1, 500, 99),
        answer(4, 1, 600, 10),
        answer(4, 2, 60_000, 11),
    ];
    assert_eq!(
        variety(&answers),
        Variety { compared: 2, differ: 1 },
        "one caller, or later, is no comparison"
    );
    let refused = [answer(1, 1, 0, 10), Answer { status: 404, ..answer(1, 2, 1, 10) }];
    assert_eq!(variety(&refused), Variety { compared: 1, differ: 1 });
}

#[test]
fn paths_that_look_like_data_of_a_person_are_named() {
    for (path, query, found) in [
        ("/v1/users/7", None, Some("users")),
        ("/me", None, Some("me")),
        ("/v1/Profile", None, Some("Profile")),
        ("/mails/ada@example.com", None, Some("ada@example.com")),
        ("/mails", Some("q=1&of=ada%40example.com"), Some("of=ada%40example.com")),
        ("/menu", None, None),
        ("/prices/7", Some("currency=eur"), None),
        ("/@handle", None, None),
        ("/a@b", None, None),
    ] {
        assert_eq!(personal(path, query), found, "{path}");
    }
}
