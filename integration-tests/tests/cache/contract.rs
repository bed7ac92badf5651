//! What every store promises, asked of each of them: alone, in Redis, in a Redis cluster.

use integration_tests::redis::Redis;
use orchestrator::{
    ports::{Acquired, Lease, MAX_VALUE_BYTES, Store},
    store::MemoryStore,
};

use super::*;

#[tokio::test]
async fn memory_keeps_the_contract() {
    check(&MemoryStore::between_replicas()).await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let redis = Redis::start().await;
    check(&*patient(redis.url()).await).await;
}

#[tokio::test]
async fn a_redis_cluster_keeps_the_contract() {
    let redis = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]).await;
    // One node that has all slots is a cluster.
    redis.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    eventually("the cluster is up", async || {
        redis.command(&["CLUSTER", "INFO"]).await.is_ok_and(|info| info.contains("cluster_state:ok"))
    })
    .await;
    check(&*patient(format!("redis+cluster://{}", redis.address)).await).await;
}

async fn check(store: &dyn Store) {
    assert!(store.is_shared());
    values_come_back_in_order(store).await;
    values_end(store).await;
    large_values_are_kept_and_larger_ones_are_not(store).await;
    a_lease_is_its_owners(store).await;
    a_lease_ends_with_its_time(store).await;
    one_of_many_gets_a_lease(store).await;
}

async fn values_come_back_in_order(store: &dyn Store) {
    let keys = [key("a"), key("missing"), key("b")];
    assert_eq!(store.get(&keys).await, [None, None, None]);
    assert_eq!(store.get(&[]).await, []);
    assert!(store.put(vec![(key("a"), value("1")), (key("b"), value("\0\r\n"))], DAY).await);
    assert_eq!(store.get(&keys).await, [Some(value("1")), None, Some(value("\0\r\n"))]);
    assert!(store.put(vec![(key("a"), value("2"))], DAY).await);
    assert_eq!(store.get(&keys[..1]).await, [Some(value("2"))]);
    // More than go into one call.
    let many: Vec<(String, Bytes)> = (0..150).map(|i| (key(&format!("many{i}")), Bytes::from(vec![i as u8]))).collect();
    assert!(store.put(many.clone(), DAY).await);
    let (keys, values): (Vec<String>, Vec<Option<Bytes>>) =
        many.into_iter().map(|(key, value)| (key, Some(value))).unzip();
    assert_eq!(store.get(&keys).await, values);
}

async fn values_end(store: &dyn Store) {
    assert!(store.put(vec![(key("brief"), value("1"))], Duration::from_millis(50)).await);
    assert!(store.put(vec![(key("none"), value("1"))], Duration::ZERO).await);
    eventually("its time is over", async || store.get(&[key("brief"), key("none")]).await == [None, None]).await;
}

async fn large_values_are_kept_and_larger_ones_are_not(store: &dyn Store) {
    let largest = Bytes::from(vec![7; MAX_VALUE_BYTES]);
    assert!(store.put(vec![(key("largest"), largest.clone())], DAY).await);
    assert_eq!(store.get(&[key("largest")]).await, [Some(largest)]);
    assert!(!store.put(vec![(key("larger"), Bytes::from(vec![7; MAX_VALUE_BYTES + 1]))], DAY).await);
    assert_eq!(store.get(&[key("larger")]).await, [None]);
}

async fn held(store: &dyn Store, name: &str, ttl: Duration) -> Lease {
    match store.acquire(&key(name), ttl).await {
        Acquired::Held(lease) => lease,
        other => panic!("{name}: {other:?}"),
    }
}

async fn a_lease_is_its_owners(store: &dyn Store) {
    let lease = held(store, "lease", DAY).await;
    assert_eq!(store.acquire(&key("lease"), DAY).await, Acquired::Taken);
    assert!(store.renew(&lease, DAY).await);
    let thief = Lease { token: "guessed".into(), ..lease.clone() };
    assert!(!store.renew(&thief, DAY).await);
    store.release(&thief).await;
    assert_eq!(store.acquire(&key("lease"), DAY).await, Acquired::Taken);

    store.release(&lease).await;
    let next = held(store, "lease", DAY).await;
    // Late words of the earlier owner change nothing.
    assert!(!store.renew(&lease, DAY).await);
    store.release(&lease).await;
    assert_eq!(store.acquire(&key("lease"), DAY).await, Acquired::Taken);
    store.release(&next).await;
}

async fn a_lease_ends_with_its_time(store: &dyn Store) {
    let lease = held(store, "dies", Duration::from_millis(50)).await;
    eventually("somebody else gets it", async || matches!(store.acquire(&key("dies"), DAY).await, Acquired::Held(_)))
        .await;
    assert!(!store.renew(&lease, DAY).await);

    let lease = held(store, "lives", Duration::from_millis(300)).await;
    assert!(store.renew(&lease, DAY).await);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(store.acquire(&key("lives"), DAY).await, Acquired::Taken);
}

async fn one_of_many_gets_a_lease(store: &dyn Store) {
    let wanted = key("wanted");
    let asked = (0..50).map(|_| store.acquire(&wanted, DAY));
    let answers = futures::future::join_all(asked).await;
    let held = answers.iter().filter(|answer| matches!(answer, Acquired::Held(_))).count();
    let taken = answers.iter().filter(|answer| matches!(answer, Acquired::Taken)).count();
    assert_eq!((held, taken), (1, 49));
}
