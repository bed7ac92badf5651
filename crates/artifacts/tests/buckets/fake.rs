//! A server with as much of S3's and of Google Cloud Storage's XML interface as a store of artifacts needs, over
//! a map in memory. Both speak alike; they differ in how a condition on a put is said.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, Method, StatusCode};

/// Keys of one page of a listing: few, so that a listing has several.
const PAGE_SIZE: usize = 3;
const TIME: &str = "2026-01-02T03:04:05.000Z";
const HTTP_TIME: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

/// Objects by bucket and key, each with its generation.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    objects: Arc<Mutex<BTreeMap<String, (Bytes, u64)>>>,
}

impl Fake {
    /// Serves on a port of its own choosing; answers the URL.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Turns a bit of every object whose key has `part` in it; answers how many there are.
    pub(crate) fn damage(&self, part: &str) -> usize {
        let mut objects = self.objects.lock().unwrap();
        let meant = objects.iter_mut().filter(|(key, _)| key.contains(part));
        meant
            .map(|(_, (bytes, _))| {
                let mut damaged = bytes.to_vec();
                *damaged.last_mut().unwrap() ^= 1;
                *bytes = damaged.into();
            })
            .count()
    }

    fn put(&self, key: &str, headers: &HeaderMap, bytes: Bytes) -> Response {
        let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut objects = self.objects.lock().unwrap();
        let generation = objects.get(key).map_or(0, |(_, generation)| *generation);
        let holds = header("if-none-match").is_none_or(|_| generation == 0)
            && header("if-match").is_none_or(|expected| expected == e_tag(generation))
            && header("x-goog-if-generation-match").is_none_or(|expected| expected == generation.to_string());
        if !holds {
            return failure(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let next = objects.values().map(|(_, generation)| generation).max().unwrap_or(&0) + 1;
        objects.insert(key.to_owned(), (bytes, next));
        described(next, 0).body(Body::empty()).unwrap()
    }

    fn get(&self, key: &str, with_body: bool) -> Response {
        let objects = self.objects.lock().unwrap();
        let Some((bytes, generation)) = objects.get(key) else {
            return failure(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let body = if with_body { Body::from(bytes.clone()) } else { Body::empty() };
        described(*generation, bytes.len()).body(body).unwrap()
    }

    fn list(&self, bucket: &str, query: &BTreeMap<String, String>) -> Response {
        let word = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (prefix, delimiter, after) = (word("prefix"), word("delimiter"), word("continuation-token"));
        let objects = self.objects.lock().unwrap();
        // Keys, and folders that stand for all keys in them, by name.
        let mut entries: BTreeMap<String, String> = BTreeMap::new();
        for (path, (bytes, generation)) in objects.iter() {
            let Some(key) = path.strip_prefix(&format!("{bucket}/")) else { continue };
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            let (name, entry) = match rest.split_once('/').filter(|_| delimiter == "/") {
                Some((folder, _)) => {
                    let name = format!("{prefix}{folder}/");
                    let entry = format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>");
                    (name, entry)
                }
                None => {
                    let (tag, size) = (e_tag(*generation), bytes.len());
                    let about = format!("<LastModified>{TIME}</LastModified><ETag>{tag}</ETag><Size>{size}</Size>");
                    (key.to_owned(), format!("<Contents><Key>{key}</Key>{about}</Contents>"))
                }
            };
            entries.insert(name, entry);
        }
        let later: Vec<(&String, &String)> =
            entries.iter().filter(|(name, _)| name.as_str() > after.as_str()).collect();
        let page = &later[..later.len().min(PAGE_SIZE)];
        let last = page.last().filter(|_| page.len() < later.len());
        let next =
            last.map(|(name, _)| format!("<NextContinuationToken>{name}</NextContinuationToken>")).unwrap_or_default();
        let listed: String = page.iter().map(|(_, entry)| entry.as_str()).collect();
        xml(StatusCode::OK, &format!("<ListBucketResult>{listed}{next}</ListBucketResult>"))
    }

    fn delete_many(&self, bucket: &str, body: &str) -> Response {
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        let mut objects = self.objects.lock().unwrap();
        let deleted: String = keys
            .map(|key| {
                objects.remove(&format!("{bucket}/{key}"));
                format!("<Deleted><Key>{key}</Key></Deleted>")
            })
            .collect();
        xml(StatusCode::OK, &format!("<DeleteResult>{deleted}</DeleteResult>"))
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let path = decoded(parts.uri.path().trim_start_matches('/'));
    let query: BTreeMap<String, String> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    match parts.method {
        Method::GET if key.is_empty() => fake.list(bucket, &query),
        Method::GET => fake.get(&path, true),
        Method::HEAD => fake.get(&path, false),
        Method::PUT => fake.put(&path, &parts.headers, body),
        Method::POST => fake.delete_many(bucket, std::str::from_utf8(&body).unwrap()),
        Method::DELETE if fake.objects.lock().unwrap().remove(&path).is_some() => {
            Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap()
        }
        Method::DELETE => failure(StatusCode::NOT_FOUND, "NoSuchKey"),
        _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn e_tag(generation: u64) -> String {
    format!("\"generation-{generation}\"")
}

fn described(generation: u64, length: usize) -> http::response::Builder {
    Response::builder()
        .header("etag", e_tag(generation))
        .header("x-goog-generation", generation)
        .header("last-modified", HTTP_TIME)
        .header("content-length", length)
}

fn failure(status: StatusCode, code: &str) -> Response {
    xml(status, &format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

fn xml(status: StatusCode, text: &str) -> Response {
    Response::builder().status(status).header("content-type", "application/xml").body(text.to_owned().into()).unwrap()
}

/// `%2F` and its like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
