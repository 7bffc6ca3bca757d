//! Databases that were restored from a backup: gateways never take old positions for new ones.

use sluice_contract::journal::Frame;
use sluice_store::journal;
use sluice_testkit::each_database;

use super::simulated::{Served, credential};

#[tokio::test]
async fn a_position_of_another_incarnation_needs_a_snapshot() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let mut gateway = served.gateway().await;
        let mut stream = gateway.follow(1).await.unwrap();
        stream.frame().await.unwrap();

        let tx = served.store().begin().await.unwrap();
        let new = journal::new_incarnation(&tx, gateway.incarnation).await.unwrap();
        tx.commit().await.unwrap();
        assert!(stream.news().await.is_none(), "streams of the life before end");

        let mut stream = gateway.follow(1).await.unwrap();
        assert!(matches!(stream.frame().await, Some(Frame::Hello { incarnation, .. }) if incarnation == new));
        assert!(matches!(stream.frame().await, Some(Frame::SnapshotRequired { .. })));
        assert_eq!(gateway.acknowledge(1, Vec::new()).await.unwrap_err().code, "incarnation_changed");

        let snapshot = gateway.snapshot().await;
        gateway.incarnation = snapshot.incarnation;
        assert_eq!(snapshot.incarnation, new);
        let mut stream = gateway.follow(snapshot.position).await.unwrap();
        stream.frame().await.unwrap();
        let position = served.append(credential("a")).await;
        assert_eq!(stream.entry().await, position);
        gateway.acknowledge(position, Vec::new()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_ahead_of_the_database_shows_that_a_backup_was_restored() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let mut other = served.gateway().await.follow(1).await.unwrap();
        other.frame().await.unwrap();

        let mut ahead = gateway.follow(100).await.unwrap();
        let hello = ahead.frame().await;
        assert!(
            matches!(hello, Some(Frame::Hello { incarnation, .. }) if incarnation != gateway.incarnation)
        );
        assert!(matches!(ahead.frame().await, Some(Frame::SnapshotRequired { .. })));
        assert_ne!(gateway.snapshot().await.incarnation, gateway.incarnation);
        assert!(other.news().await.is_none(), "every other gateway starts over, too");
        assert_eq!(gateway.acknowledge(100, Vec::new()).await.unwrap_err().code, "incarnation_changed");
    })
    .await;
}
