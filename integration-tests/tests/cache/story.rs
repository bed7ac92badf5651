//! Whole explanations while the cache misbehaves: the same answers, whatever it does.

use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::{
    Api, Sandbox,
    api::{explain_image, fitted},
    known::random_image,
    proxy::{Network, Proxy},
    redis::Redis,
};
use proto::raw::deeper::{explanation::v1::State, types::v1::FittedStudent};

use super::*;

async fn student(api: &Api) -> FittedStudent {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let id = format!("story-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let explanation = api.explain(explain_image(&id, &random_image(1))).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded);
    assert_eq!(explanation.labeled_neighbor_count, 1_000);
    fitted(&explanation).clone()
}

#[tokio::test]
async fn explanations_come_out_the_same_whatever_the_network_does() {
    let sandbox = Sandbox::linear().await;
    let expected = student(&sandbox.api).await;
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.address).await;
    for network in [
        Network::Slow(Duration::from_secs(1)),
        Network::Silent,
        Network::Reset,
        Network::Truncating(70),
        Network::Garbling,
    ] {
        proxy.set(Network::Fine);
        // Each replica has an empty memory of its own.
        let api = sandbox.replica(Arc::new(through(&proxy).await)).await;
        proxy.set(network);
        assert_eq!(student(&api).await, expected, "{network:?}");
    }
}

#[tokio::test]
async fn explanations_come_out_the_same_when_redis_is_gone_full_or_read_only() {
    let sandbox = Sandbox::linear().await;
    let expected = student(&sandbox.api).await;
    let mut redis = Redis::start().await;
    for setting in [["CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"], ["REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"]]
    {
        let [breaks, mends] = setting.map(|words| words.split(' ').collect::<Vec<_>>());
        let api = sandbox.replica(Arc::new(connect(&redis).await)).await;
        redis.tell(&breaks).await;
        assert_eq!(student(&api).await, expected, "{breaks:?}");
        redis.tell(&mends).await;
    }
    let api = sandbox.replica(Arc::new(connect(&redis).await)).await;
    redis.kill().await;
    assert_eq!(student(&api).await, expected);
}

#[tokio::test]
async fn what_is_cached_is_not_computed_again_and_what_is_damaged_is() {
    let sandbox = Sandbox::linear().await;
    let redis = Redis::start().await;
    let first = sandbox.replica(patient(redis.url()).await).await;
    let expected = student(&first).await;
    let keys = async || redis.tell(&["EVAL", "return table.concat(redis.call('KEYS', '*'), ' ')", "0"]).await;
    // The answer is shared after the caller has it.
    eventually("the answer is shared", async || keys().await.contains(":answer:")).await;

    let labeled = sandbox.world.brake.work().image_count;
    let second = sandbox.replica(patient(redis.url()).await).await;
    assert_eq!(student(&second).await, expected);
    assert_eq!(sandbox.world.brake.work().image_count, labeled, "it was cached");

    // Every value gets another byte somewhere.
    for (i, key) in keys().await.split(' ').filter(|key| !key.contains(":lease:")).enumerate() {
        let length: usize = redis.tell(&["STRLEN", key]).await.parse().unwrap();
        let at = (i * 7_919 + 81) % length;
        let script = "local b = redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[1]):byte(); \
                      redis.call('SETRANGE', KEYS[1], ARGV[1], string.char((b + 1) % 256))";
        redis.tell(&["EVAL", script, "1", key, &at.to_string()]).await;
    }
    let third = sandbox.replica(patient(redis.url()).await).await;
    assert_eq!(student(&third).await, expected);
    assert!(sandbox.world.brake.work().image_count > labeled, "damaged values were believed");

    // And when all of it is gone.
    redis.tell(&["FLUSHALL"]).await;
    let fourth = sandbox.replica(patient(redis.url()).await).await;
    assert_eq!(student(&fourth).await, expected);
}
