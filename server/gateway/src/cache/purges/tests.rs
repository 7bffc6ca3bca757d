use super::table::MOST;
use super::*;

fn stamp(position: Position, at: u64) -> Stamp {
    Stamp { position, at }
}

fn url(url: u64) -> Labelled<'static> {
    Labelled { url, path: "/", tags: &[] }
}

fn good(purges: &ApiPurges, response: u64, at: Stamp) -> bool {
    purges.verdict(&url(response), at) == Verdict::Good
}

#[test]
fn what_was_fetched_before_a_purge_is_never_good_again() {
    let purges = ApiPurges::default();
    assert!(good(&purges, 1, stamp(0, 0)));
    purges.label(Label::Url(1), Strength::Hard, stamp(5, 100));
    assert!(!good(&purges, 1, stamp(4, 99)), "stored before");
    assert!(!good(&purges, 1, stamp(5, 100)), "the same moment counts as before");
    assert!(!good(&purges, 1, stamp(4, 101)), "fetched on a gateway that did not know of the purge");
    assert!(good(&purges, 1, stamp(5, 101)));
    assert!(good(&purges, 2, stamp(4, 99)), "another URL");
    purges.all(Strength::Hard, stamp(6, 200));
    assert!(!good(&purges, 2, stamp(5, 150)));
    assert!(good(&purges, 2, stamp(6, 201)));
}

#[test]
fn a_soft_purge_makes_stale_since_then_and_a_hard_one_stands_above_it() {
    let purges = ApiPurges::default();
    purges.label(Label::tag("a"), Strength::Soft, stamp(5, 100));
    let tags = [Label::tag("a").hash(), Label::tag("b").hash()];
    let tagged = Labelled { tags: &tags, ..url(1) };
    assert_eq!(purges.verdict(&tagged, stamp(4, 99)), Verdict::Stale { since: 100 });
    assert_eq!(purges.verdict(&tagged, stamp(5, 101)), Verdict::Good);
    assert_eq!(purges.verdict(&url(1), stamp(4, 99)), Verdict::Good, "it has no such tag");
    purges.label(Label::tag("b"), Strength::Hard, stamp(6, 200));
    assert_eq!(purges.verdict(&tagged, stamp(4, 99)), Verdict::Gone);
    purges.all(Strength::Soft, stamp(7, 300));
    assert_eq!(purges.verdict(&url(1), stamp(6, 201)), Verdict::Stale { since: 300 });
}

#[test]
fn what_another_gateway_fetched_is_judged_by_the_journal_and_by_the_clock_where_that_is_silent() {
    let purges = ApiPurges::default();
    let good = |response, at| purges.verdict_on_foreign(&url(response), at) == Verdict::Good;
    assert!(good(1, stamp(0, 0)));
    purges.label(Label::Url(1), Strength::Hard, stamp(5, 100));
    assert!(!good(1, stamp(4, 999)));
    assert!(good(1, stamp(5, 1)), "whoever saw the purge fetched after it");
    purges.label(Label::Url(1), Strength::Hard, stamp(0, 200));
    assert!(!good(1, stamp(5, 200)) && good(1, stamp(5, 201)));
    purges.all(Strength::Hard, stamp(6, 300));
    assert!(!good(2, stamp(5, 999)) && good(2, stamp(6, 1)));
    assert!(!good(1, stamp(6, 200)), "both count");
}

#[test]
fn many_purged_urls_fold_into_one_stamp_that_covers_them() {
    let purges = ApiPurges::default();
    let most = MOST as u64;
    (0..=most).for_each(|url| purges.label(Label::Url(url), Strength::Hard, stamp(url + 1, url + 1)));
    assert!(purges.hard.len() <= MOST / 2 + 1);
    for url in [0, 1_000, most] {
        assert!(!good(&purges, url, stamp(url, url)), "{url}");
    }
    assert!(good(&purges, 0, stamp(most + 2, most + 2)));
    // Those that only this gateway knows of hold for what others have fetched before, too.
    let purges = ApiPurges::default();
    (0..=most).for_each(|url| purges.label(Label::Url(url), Strength::Hard, stamp(0, url + 1)));
    assert_eq!(purges.verdict_on_foreign(&url(0), stamp(5, 1)), Verdict::Gone);
}

#[test]
fn what_begins_anew_covers_apis_of_which_nothing_was_purged() {
    let purges = Purges::default();
    let api = purges.of(ApiId::generate());
    purges.begin_anew(stamp(1, 100));
    assert!(!good(&api, 1, stamp(1, 100)) && good(&api, 1, stamp(1, 101)));
}

#[test]
fn old_purges_are_forgotten_the_soft_ones_too() {
    let purges = Purges::default();
    let api = purges.of(ApiId::generate());
    for (url, at) in [(1, 99), (2, 100)] {
        api.label(Label::Url(url), Strength::Hard, stamp(1, at));
        api.label(Label::Url(url), Strength::Soft, stamp(1, at));
    }
    purges.drop_before(100);
    assert_eq!((api.hard.len(), api.soft.len()), (1, 1));
}

#[test]
fn a_purge_of_a_tenant_covers_its_apis_and_those_that_are_not_known_yet() {
    let purges = Purges::default();
    let (mine, other) = (TenantId::generate(), TenantId::generate());
    let (a, b, c) = (ApiId::generate(), ApiId::generate(), ApiId::generate());
    let (of_mine, of_other, unknown) = (purges.of_tenant(a, mine), purges.of_tenant(b, other), purges.of(c));
    purges.note_wide(stamp(5, 100));
    for api in purges.of_all(Some(mine)) {
        purges.of(api).all(Strength::Hard, stamp(5, 100));
    }
    let before = stamp(4, 50);
    assert!(!good(&of_mine, 1, before) && good(&of_other, 1, before) && !good(&unknown, 1, before));
    let late = purges.of(ApiId::generate());
    assert_eq!(late.verdict_on_foreign(&url(1), before), Verdict::Gone, "an API that comes later");
    assert!(good(&late, 1, stamp(5, 101)));
}

#[test]
fn purges_that_nothing_stored_can_be_older_than_are_forgotten() {
    let purges = Purges::default();
    let api = purges.of(ApiId::generate());
    api.label(Label::Url(1), Strength::Hard, stamp(1, 100));
    api.label(Label::Url(2), Strength::Hard, stamp(2, 200));
    purges.drop_before(200);
    assert_eq!(api.hard.len(), 1);
    assert!(!good(&api, 2, stamp(1, 150)));
}

#[test]
fn what_is_known_of_purges_begins_at_a_position() {
    let purges = Purges::default();
    assert!(!purges.know_since(Position::MAX - 1), "nothing yet");
    purges.know_from(7);
    assert_eq!([6, 7, 8].map(|position| purges.know_since(position)), [false, true, true]);
}

#[test]
fn an_api_is_its_tenants_once_that_is_known() {
    let purges = Purges::default();
    let (mine, other) = (TenantId::generate(), TenantId::generate());
    let (a, unknown) = (ApiId::generate(), ApiId::generate());
    purges.of_tenant(a, mine);
    purges.of(unknown);
    assert!(purges.is_of(a, mine) && !purges.is_of(a, other));
    assert!(!purges.is_of(unknown, mine) && !purges.is_of(ApiId::generate(), mine));
}

#[test]
fn the_next_life_knows_purges_of_tags_as_they_were_and_others_as_of_the_whole_api() {
    let (tagged, by_url, by_prefix, whole, soft, untouched) = (
        ApiId::generate(),
        ApiId::generate(),
        ApiId::generate(),
        ApiId::generate(),
        ApiId::generate(),
        ApiId::generate(),
    );
    let (first, tenant) = (Purges::default(), TenantId::generate());
    first.know_from(3);
    first.of_tenant(tagged, tenant).label(Label::tag("a"), Strength::Hard, stamp(5, 100));
    first.of(tagged).label(Label::tag("b"), Strength::Soft, stamp(6, 200));
    first.of(by_url).label(Label::Url(1), Strength::Hard, stamp(7, 300));
    first.of(by_prefix).label(Label::prefix("/p"), Strength::Soft, stamp(8, 400));
    first.of(whole).all(Strength::Hard, stamp(9, 500));
    first.of(soft).all(Strength::Soft, stamp(9, 500));
    // Of what an unsafe method changed the journal has nothing: nothing is kept of it.
    first.of(untouched).label(Label::Url(1), Strength::Hard, stamp(0, 600));
    first.note_wide(stamp(4, 50));

    let remembered = first.remember();
    assert_eq!(remembered.apis.len(), 5);
    let written = serde_json::to_vec(&remembered).unwrap();
    let next = Purges::default();
    next.recall(serde_json::from_slice(&written).unwrap(), 1);
    assert!(next.know_since(3) && !next.know_since(2));
    let since = |api, tags: &[&str]| {
        let tags: Vec<u64> = tags.iter().map(|tag| Label::tag(tag).hash()).collect();
        let response = Labelled { tags: &tags, ..url(2) };
        let purges = next.of(api);
        let good = |position: &Position| {
            let verdict = purges.verdict_on_foreign(&response, stamp(*position, 1));
            assert_ne!(verdict, Verdict::Stale { since: 1 });
            verdict == Verdict::Good
        };
        (0..20).find(good).unwrap()
    };
    assert_eq!([since(tagged, &["a"]), since(tagged, &["b"]), since(tagged, &["c"])], [5, 6, 0]);
    assert_eq!([by_url, by_prefix, whole, soft, untouched].map(|api| since(api, &[])), [7, 8, 9, 9, 4]);
    assert_eq!(since(ApiId::generate(), &[]), 4, "nothing is known of it");
    assert!(next.is_of(tagged, tenant) && !next.is_of(whole, tenant));
    // What is fetched in the new life is judged by its clock too.
    assert_eq!(next.of(whole).verdict(&url(2), stamp(9, 2)), Verdict::Good);
    assert_eq!(next.of(whole).verdict(&url(2), stamp(9, 1)), Verdict::Gone);
}

#[test]
fn a_journal_that_begins_anew_further_back_purges_all_that_there_is_and_nothing_that_comes() {
    let (purges, [whole, by_tag, unseen]) = (Purges::default(), [(); 3].map(|()| ApiId::generate()));
    purges.of(whole).all(Strength::Hard, stamp(950, 100));
    purges.of(whole).all(Strength::Soft, stamp(960, 110));
    purges.of(by_tag).label(Label::Url(1), Strength::Hard, stamp(950, 100));
    purges.of(by_tag).label(Label::Url(1), Strength::Hard, stamp(0, 190));
    purges.of(whole).changed_at(970);
    purges.begin_anew(stamp(900, 200));
    assert_eq!(purges.of(whole).position_for_others(900), 900, "the change was in the journal before");
    for api in [whole, by_tag, unseen] {
        let purges = purges.of(api);
        assert!(!good(&purges, 1, stamp(970, 150)), "it is of the journal before");
        assert!(good(&purges, 1, stamp(900, 201)));
        assert_eq!(purges.verdict_on_foreign(&url(1), stamp(899, 201)), Verdict::Gone);
    }
    let foreign = |at| purges.of(by_tag).verdict_on_foreign(&url(2), stamp(900, at));
    assert_eq!(
        (foreign(190), foreign(191)),
        (Verdict::Gone, Verdict::Good),
        "what changed here is not forgotten"
    );
}

#[test]
fn of_marks_of_one_age_those_that_are_further_back_in_the_journal_are_folded() {
    let purges = ApiPurges::default();
    for number in 0..=MOST as u64 {
        purges.label(Label::Tag(number), Strength::Hard, stamp(number + 1, 1));
    }
    let half = MOST as u64 / 2;
    assert!((half - 1..=half + 1).contains(&(purges.hard.len() as u64)), "{}", purges.hard.len());
    assert!(good(&purges, 1, stamp(half + 2, 2)), "no mark of a tag counts for all");
    assert!(!good(&purges, 1, stamp(half, 2)));
}
