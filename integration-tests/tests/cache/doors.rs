//! Passwords, users and certificates: a cache that refuses us is a mistake that is told at the start, and a
//! cache like one that is down afterwards.

use integration_tests::redis::Redis;
use orchestrator::ports::Store;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;

async fn refusal(config: &StoreConfig) -> String {
    match RedisStore::connect(config, Limits::for_testing()).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error.to_string(),
    }
}

async fn works(store: &RedisStore) -> bool {
    store.put(vec![(key("k"), value("v"))], DAY).await && store.get(&[key("k")]).await == [Some(value("v"))]
}

#[tokio::test]
async fn a_wrong_password_ends_the_start_and_is_not_repeated() {
    let redis = Redis::start_with(&["--requirepass", "right"]).await;
    for url in ["redis://:wrongword@", "redis://nobody:wrongword@", "redis://", "redis+cluster://:wrongword@"] {
        let told = refusal(&config(format!("{url}{}", redis.address))).await;
        assert!(told.contains("--cache-url") && told.contains("refuses") && !told.contains("wrongword"), "{told}");
    }
    assert!(works(&*patient(format!("redis://:right@{}", redis.address)).await).await);
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let redis = Redis::start().await;
    let rules = ["ACL", "SETUSER", "deeper", "on", ">word", "~deeper:*", "-@all", "+get", "+getrange", "+set", "+del"];
    redis.tell(&[rules.as_slice(), &["+pexpire", "+eval", "+ping"]].concat()).await;
    assert!(works(&*patient(format!("redis://deeper:word@{}", redis.address)).await).await);
}

#[tokio::test]
async fn a_cache_that_is_not_there_yet_does_not_end_the_start() {
    let mut redis = Redis::start().await;
    redis.kill().await;
    let store = connect(&redis).await;
    assert!(!store.is_available() && !works(&store).await);
    redis.start_again(&[]).await;
    eventually("it is found", async || works(&store).await).await;
}

#[tokio::test]
async fn a_password_that_changes_is_read_again_from_its_file() {
    let redis = Redis::start_with(&["--requirepass", "first"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let config = StoreConfig { cache_password_file: Some(file.clone()), ..config(redis.url()) };
    let store = RedisStore::connect(&config, Limits::default()).await.unwrap();
    eventually("it works", async || works(&store).await).await;

    // A connection that is let in stays so; a new one is refused.
    let script = ["CONFIG SET requirepass second", "CLIENT KILL TYPE normal SKIPME yes"];
    let lines: Vec<String> = std::iter::once("AUTH first").chain(script).map(str::to_owned).collect();
    inline(&redis, &lines).await;
    eventually("it is refused", async || {
        works(&store).await;
        !store.is_available()
    })
    .await;
    std::fs::write(&file, "second\n").unwrap();
    eventually("the new password is read", async || works(&store).await).await;
}

/// Sends lines over one connection, and waits for an answer to each.
async fn inline(redis: &Redis, lines: &[String]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(redis.address).await.unwrap();
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 256];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(!answer.starts_with('-'), "{line}: {answer}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, other) = (authority(), authority());
    let key_pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key_pair, &ours).unwrap();
    let paths = [
        write("cert.pem", certificate.pem()),
        write("key.pem", key_pair.serialize_pem()),
        write("ca.pem", ours.pem()),
        write("other.pem", other.pem()),
    ];
    let [cert, key, ca, other] = paths.each_ref().map(|path| path.to_str().unwrap());

    // A free port for TLS beside the plain one.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let tls = ["--tls-port", &port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
    let redis =
        Redis::start_with(&[tls.as_slice(), &["--tls-auth-clients", "no", "--requirepass", "word"]].concat()).await;
    let url = format!("rediss://:word@127.0.0.1:{port}");
    let with = |file: &str| StoreConfig { cache_ca_file: Some(file.into()), ..config(url.clone()) };

    let store = RedisStore::connect(&with(ca), Limits::for_testing()).await.unwrap();
    assert!(works(&store).await);
    let told = refusal(&with(other)).await;
    assert!(told.contains("certificate"), "{told}");
    drop(redis);
}
