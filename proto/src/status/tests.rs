//! Every error there and back, and statuses that are not ours.

use super::*;

fn check(error: Error, code: Code, reason: &str) {
    let status = from_error(error.clone());
    assert_eq!(status.code(), code);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, DOMAIN));
    assert_eq!(to_error(&status), error);
}

#[test]
fn a_client_gets_the_error_that_the_service_had() {
    let mut violations = Violations::default();
    violations.add("neighborhood.radius", "7 is not above 0 and at most 5");
    violations.add("teacher", "is required");
    check(Error::InvalidFields(violations), Code::InvalidArgument, "INVALID_FIELDS");
    let (got, expected) = (ImageShape::gray(32, 30), ImageShape::gray(28, 28));
    for field in ["", "instance.image.pixels"] {
        let error = Error::ImageShapeMismatch { field: field.to_owned(), got, expected };
        let told = from_error(error.clone()).get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!((told.field.as_str(), told.description), (field, error.to_string()));
        check(error, Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH");
    }
    let description = "the call came without its message".to_owned();
    check(Error::MalformedRequest { description }, Code::InvalidArgument, "MALFORMED_REQUEST");
    check(Error::MessageTooLarge { limit_bytes: 4_194_304 }, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let host = "evil.example".to_owned();
    check(Error::HostNotAllowed { host }, Code::PermissionDenied, "HOST_NOT_ALLOWED");
    let resource = "teachers/none".to_owned();
    let not_found = Error::NotFound { kind: "TEACHER", resource: resource.clone() };
    check(not_found, Code::NotFound, "TEACHER_NOT_FOUND");
    check(Error::AlreadyExists { kind: "TEACHER", resource }, Code::AlreadyExists, "TEACHER_EXISTS");
    let failed = Error::FailedPrecondition {
        reason: "OPERATION_RUNNING",
        subject: "operations/1".into(),
        description: "cancel it first".into(),
    };
    check(failed, Code::FailedPrecondition, "OPERATION_RUNNING");
    let description = "all neighbors are the same image; widen the radius".to_owned();
    let degenerate = Error::NeighborhoodDegenerate { description: description.clone() };
    check(degenerate, Code::FailedPrecondition, "NEIGHBORHOOD_DEGENERATE");
    check(Error::DistillationDiverged { description }, Code::FailedPrecondition, "DISTILLATION_DIVERGED");
    let denied = Error::PermissionDenied {
        reason: "NOT_THE_CREATOR",
        subject: "teachers/t".into(),
        description: "ana made it: only she and admins delete it".into(),
    };
    check(denied, Code::PermissionDenied, "NOT_THE_CREATOR");
    check(Error::Unauthenticated, Code::Unauthenticated, "API_KEY_UNKNOWN");
    let quota =
        Error::QuotaExceeded { creator: "ana".into(), what: "trainings".into(), limit: 4, retry_after_ms: 5_000 };
    let failure = from_error(quota.clone()).get_details_quota_failure().unwrap();
    assert_eq!(failure.violations[0].subject, "users/ana");
    check(quota, Code::ResourceExhausted, "QUOTA_EXCEEDED");
    let full = Error::QueueFull { engine: "teacher".into(), retry_after_ms: 1_250 };
    check(full, Code::ResourceExhausted, "QUEUE_FULL");
    for operation in [None, Some("operations/1".to_owned())] {
        let model = "teachers/resnet50".to_owned();
        let description = "it is training".to_owned();
        let error = Error::ModelNotReady { model, description, operation, retry_after_ms: 5_000 };
        check(error, Code::Unavailable, "MODEL_NOT_READY");
    }
    check(Error::UpstreamUnavailable { service: "vae".into() }, Code::Unavailable, "UPSTREAM_UNAVAILABLE");
    check(Error::Cancelled, Code::Cancelled, "CANCELLED");
    check(Error::DeadlineExceeded, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
}

#[test]
fn the_cause_of_an_unexpected_failure_stays_behind_and_its_request_id_goes_along() {
    let status = with_request_id(Error::unexpected("/secret/path is gone"), "4711");
    let wire = format!("{} {:?}", status.message(), status.details());
    assert!(!wire.contains("secret") && !String::from_utf8_lossy(status.details()).contains("secret"));
    assert_eq!(status.get_details_request_info().unwrap().request_id, "4711");
    let Error::Unexpected(told) = to_error(&status) else { panic!("not unexpected") };
    assert!(told.contains("request 4711"), "{told}");
}

#[test]
fn statuses_from_elsewhere_become_the_nearest_error() {
    let cases = [
        (Code::Unavailable, Error::UpstreamUnavailable { service: "remote".into() }),
        (Code::Cancelled, Error::Cancelled),
        (Code::DeadlineExceeded, Error::DeadlineExceeded),
        (Code::InvalidArgument, Error::invalid("", "told")),
        (Code::OutOfRange, Error::invalid("", "told")),
        (Code::ResourceExhausted, Error::QueueFull { engine: "remote service".into(), retry_after_ms: 1_000 }),
        (Code::Internal, Error::unexpected("Internal: told")),
        (Code::Unknown, Error::unexpected("Unknown: told")),
    ];
    for (code, expected) in cases {
        assert_eq!(to_error(&Status::new(code, "told")), expected);
    }
    assert_eq!(to_error(&Status::cancelled("Timeout expired")), Error::DeadlineExceeded);
    let lost = std::io::Error::other("the connection was lost");
    let lost = Status::from_error(Box::new(lost));
    assert_eq!(to_error(&lost), Error::UpstreamUnavailable { service: "remote".into() });
}

#[test]
fn details_that_lie_are_read_by_the_code() {
    let mut details = ErrorDetails::new();
    details.set_error_info("QUEUE_FULL", DOMAIN, HashMap::new());
    let status = Status::with_error_details(Code::Internal, "told", details);
    assert_eq!(to_error(&status), Error::unexpected("Internal: told"));
    let garbage = Status::with_details(Code::Internal, "told", vec![0xff; 9].into());
    assert_eq!(to_error(&garbage), Error::unexpected("Internal: told"));
}

#[test]
fn a_long_description_is_shortened_and_not_lost() {
    let status = from_error(Error::invalid("teacher", "é".repeat(100_000)));
    let Error::InvalidFields(violations) = to_error(&status) else { panic!("not invalid fields") };
    let told = violations.iter().next().unwrap();
    assert_eq!(told.field, "teacher");
    assert!(told.description.starts_with('é') && told.description.len() < 600);
}

/// What a status takes of the trailers, as HTTP/2 counts it (RFC 9113, §6.5.2).
fn trailer_bytes(status: &Status) -> usize {
    let mut trailers = tonic::metadata::MetadataMap::new().into_headers();
    status.add_header(&mut trailers).unwrap();
    trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

#[test]
fn many_wrong_fields_fit_into_the_8_kib_that_grpcs_c_core_reads() {
    let mut violations = Violations::default();
    for i in 0..10_000 {
        violations.add(format!("ranges[{i}]"), "dimension 99 is not below 10");
    }
    let status = from_error(Error::InvalidFields(violations));
    assert!(trailer_bytes(&status) < 7_168, "{}", trailer_bytes(&status));
    let Error::InvalidFields(told) = to_error(&status) else { panic!("not invalid fields") };
    let told: Vec<_> = told.iter().collect();
    let last = told.last().unwrap();
    assert_eq!(last.description, format!("and {} more", 10_000 - (told.len() - 1)));
    assert!(told.len() > 50 && status.message().len() < 560, "{} {}", told.len(), status.message().len());
    let listed = status.message().matches("ranges[").count();
    assert!(status.message().ends_with(&format!("; and {} more", 10_000 - listed)), "{}", status.message());
}

#[test]
fn no_text_however_long_or_foreign_breaks_the_trailers() {
    let long = "é".repeat(50_000);
    let words = || long.clone();
    let mut violations = Violations::default();
    for _ in 0..100 {
        violations.add(words(), words());
    }
    let not_ready =
        |operation| Error::ModelNotReady { model: words(), description: words(), operation, retry_after_ms: u64::MAX };
    for error in [
        Error::InvalidFields(violations),
        Error::FailedPrecondition { reason: "R", subject: words(), description: words() },
        Error::NotFound { kind: "TEACHER", resource: words() },
        Error::AlreadyExists { kind: "TEACHER", resource: words() },
        Error::HostNotAllowed { host: words() },
        Error::MalformedRequest { description: words() },
        Error::QueueFull { engine: words(), retry_after_ms: 1 },
        not_ready(None),
        not_ready(Some(words())),
    ] {
        let status = with_request_id(error, "0a8f3c1e5d2b4c6a9e7f123456789abc");
        assert!(trailer_bytes(&status) < 8_192, "{}: {status:?}", trailer_bytes(&status));
    }
    let unknown = complete(Status::unimplemented(""), &words());
    assert!(trailer_bytes(&unknown) < 8_192, "{unknown:?}");
}

fn completed(code: Code, library: &str) -> (Code, String, String) {
    let status = complete(Status::new(code, library), "a.v1.Service/Method");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, DOMAIN);
    (status.code(), info.reason, status.message().to_owned())
}

#[test]
fn what_the_library_could_not_read_is_the_callers_mistake_in_our_words() {
    for (library, ours) in [
        ("failed to decode Protobuf message: GetTeacherRequest.name: buffer underflow", "GetTeacherRequest.name"),
        ("Missing request message.", "without its message"),
        ("protocol error: received message with compressed-flag but no grpc-encoding was specified", "uncompressed"),
        ("protocol error: received message with invalid compression flag: 7 (valid flags are 0 and 1)", "first byte"),
        ("Unexpected EOF decoding stream.", "shorter than"),
        ("tonic-web: Invalid symbol 33, offset 0.", "base64"),
        ("tonic-web: malformed base64 request", "base64"),
        ("tonic-web: error reading a body from connection", "could not be read to its end"),
    ] {
        let (code, reason, message) = completed(Code::Internal, library);
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        assert!(message.contains(ours) && !message.contains(library), "{message}");
    }
    let large = "Error, decoded message length too large: found 5242887 bytes, the limit is: 12582912 bytes";
    let (code, reason, message) = completed(Code::OutOfRange, large);
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert!(message.contains("12582912"), "{message}");
    assert_eq!(to_error(&Status::out_of_range(large)), Error::MessageTooLarge { limit_bytes: 12_582_912 });
}

#[test]
fn an_unknown_method_or_encoding_is_named() {
    let (code, reason, message) = completed(Code::Unimplemented, "");
    assert_eq!((code, reason.as_str()), (Code::Unimplemented, "METHOD_UNKNOWN"));
    assert!(message.contains("a.v1.Service/Method"), "{message}");
    let (code, reason, message) =
        completed(Code::Unimplemented, "Content is compressed with `br` which isn't supported");
    assert_eq!((code, reason.as_str()), (Code::Unimplemented, "ENCODING_UNSUPPORTED"));
    assert!(message.contains("`br`") && message.contains("uncompressed"), "{message}");
}

#[test]
fn a_status_of_ours_is_left_as_it_is() {
    let ours = from_error(Error::unexpected("the cause"));
    let left = complete(ours.clone(), "a.v1.Service/Method");
    assert_eq!((left.code(), left.details()), (Code::Internal, ours.details()));
    let (code, reason, _) = completed(Code::Cancelled, "Timeout expired");
    assert_eq!((code, reason.as_str()), (Code::Cancelled, "CANCELLED"));
}
