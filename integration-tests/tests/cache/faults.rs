//! Redis hangs, dies, is full, read-only, loading, flushed, or holds what is not ours; and the network in
//! front of it misbehaves. No call fails, and only the first one waits.

use std::time::Instant;

use integration_tests::{
    proxy::{Network, Proxy},
    redis::Redis,
};
use orchestrator::ports::{Acquired, MAX_VALUE_BYTES, Store};

use super::*;

/// What a fault may add to one call.
const ONCE: Duration = Duration::from_millis(50);
/// What it may add to every call after that one.
const THEN: Duration = Duration::from_millis(1);
/// The machine that tests run on has pauses of its own: the best of so many tries counts.
const TRIES: usize = 5;

async fn put(store: &RedisStore) -> bool {
    store.put(vec![(key("k"), value("v"))], DAY).await
}

async fn get(store: &RedisStore) -> Option<Bytes> {
    store.get(&[key("k")]).await.remove(0)
}

/// It answers as it should, with reads and writes.
async fn is_itself(store: &RedisStore) -> bool {
    put(store).await && get(store).await == Some(value("v"))
}

/// Breaks Redis, measures what callers notice, mends it, and waits until all is as before.
async fn check(store: &RedisStore, mut breaks: impl AsyncFnMut(), mut mends: impl AsyncFnMut()) {
    let (mut once, mut then) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        eventually("all is well before the fault", async || is_itself(store).await).await;
        breaks().await;
        let began = Instant::now();
        let first = get(store).await;
        once = once.min(began.elapsed());
        assert_eq!(first, None);
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(get(store).await, None);
            assert!(!put(store).await);
            assert_eq!(store.acquire(&key("lease"), DAY).await, Acquired::Unknown);
            then = then.min(began.elapsed() / 3);
        }
        mends().await;
        if once <= ONCE && then <= THEN {
            break;
        }
    }
    assert!(once <= ONCE, "the first call took {once:?}");
    assert!(then <= THEN, "later calls took {then:?}");
    eventually("all is well after the fault", async || is_itself(store).await).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_once() {
    let redis = Redis::start().await;
    let store = connect(&redis).await;
    check(&store, async || redis.signal("STOP").await, async || redis.signal("CONT").await).await;
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_is_used_again() {
    let mut redis = Redis::start().await;
    let store = connect(&redis).await;
    for _ in 0..2 {
        eventually("all is well", async || is_itself(&store).await).await;
        redis.kill().await;
        assert_eq!(get(&store).await, None);
        redis.start_again(&[]).await;
    }
    eventually("all is well", async || is_itself(&store).await).await;
}

#[tokio::test]
async fn a_bad_network_is_waited_for_once() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.address).await;
    let store = through(&proxy).await;
    for network in [
        Network::Slow(Duration::from_secs(1)),
        Network::Silent,
        Network::Reset,
        Network::Truncating(2),
        Network::Garbling,
    ] {
        check(&store, async || proxy.set(network), async || proxy.set(Network::Fine)).await;
    }
}

#[tokio::test]
async fn a_full_redis_is_read_and_not_written() {
    let redis = Redis::start().await;
    let store = connect(&redis).await;
    eventually("all is well", async || is_itself(&store).await).await;
    redis.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    redis.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(!put(&store).await);
    assert_eq!(store.acquire(&key("lease"), DAY).await, Acquired::Unknown);
    assert!(store.is_available());
    assert_eq!(get(&store).await, Some(value("v")));
    // Large values are refused alike.
    assert!(!store.put(vec![(key("large"), Bytes::from(vec![1; 1 << 20]))], DAY).await);
    redis.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    eventually("it is written to again", async || is_itself(&store).await).await;
}

#[tokio::test]
async fn a_read_only_redis_is_read_and_not_written() {
    let redis = Redis::start().await;
    let store = connect(&redis).await;
    eventually("all is well", async || is_itself(&store).await).await;
    redis.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(!put(&store).await);
    assert_eq!(get(&store).await, Some(value("v")));
    redis.tell(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it is written to again", async || is_itself(&store).await).await;
}

#[tokio::test]
async fn a_redis_that_is_loading_is_passed_over() {
    let mut redis = Redis::start().await;
    let store = connect(&redis).await;
    eventually("all is well", async || is_itself(&store).await).await;
    let fill = "for i = 1, 3000 do redis.call('SET', 'filler' .. i, string.rep('x', 1000)) end";
    redis.tell(&["EVAL", fill, "0"]).await;
    redis.tell(&["SAVE"]).await;
    redis.kill().await;
    // About two seconds.
    redis.start_again(&["--key-load-delay", "700", "--loading-process-events-interval-bytes", "1024"]).await;
    let told = redis.command(&["GET", "k"]).await.unwrap_err();
    assert!(told.starts_with("LOADING"), "{told}");
    let began = Instant::now();
    while redis.command(&["PING"]).await.is_err() {
        assert_eq!(get(&store).await, None);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(500), "it was loaded before anything could be seen");
    eventually("all is well", async || get(&store).await == Some(value("v"))).await;
}

#[tokio::test]
async fn a_flushed_redis_is_empty_and_fine() {
    let redis = Redis::start().await;
    let store = connect(&redis).await;
    eventually("all is well", async || is_itself(&store).await).await;
    redis.tell(&["FLUSHALL"]).await;
    assert_eq!(get(&store).await, None);
    eventually("all is well", async || is_itself(&store).await).await;
}

#[tokio::test]
async fn a_foreign_or_huge_value_costs_its_key_alone() {
    let redis = Redis::start().await;
    let store = patient(redis.url()).await;
    assert!(is_itself(&store).await);
    redis.tell(&["RPUSH", &key("list"), "x"]).await;
    redis.tell(&["SETRANGE", &key("huge"), "104857600", "x"]).await;
    let found = store.get(&[key("list"), key("k"), key("huge")]).await;
    assert_eq!((&found[0], &found[1]), (&None, &Some(value("v"))));
    assert!(found[2].as_ref().unwrap().len() <= MAX_VALUE_BYTES + 1);
    assert!(store.is_available());
    // A lease where a list is.
    assert_eq!(store.acquire(&key("list"), DAY).await, Acquired::Taken);
}

#[tokio::test]
async fn more_callers_than_there_are_places_wait_or_go_without() {
    let redis = Redis::start().await;
    let store = Arc::new(connect(&redis).await);
    eventually("all is well", async || is_itself(&store).await).await;
    let calls = (0..2_000).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { get(&store).await })
    });
    for call in futures::future::join_all(calls).await {
        assert!(call.unwrap().is_none_or(|found| found == value("v")));
    }
    eventually("all is well", async || is_itself(&store).await).await;
}
