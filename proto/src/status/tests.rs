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
    check(Error::ImageShapeMismatch { got, expected }, Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH");
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
        let completed = complete(Status::new(code, "told"));
        assert_eq!((completed.code(), to_error(&completed)), (code, expected));
        assert_eq!(completed.get_details_error_info().unwrap().domain, DOMAIN);
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
    assert!(told.description.starts_with('é') && told.description.len() < 1_100);
}

#[test]
fn many_wrong_fields_fit_into_the_trailers() {
    let mut violations = Violations::default();
    for i in 0..10_000 {
        violations.add(format!("ranges[{i}]"), "dimension 99 is not below 10");
    }
    let status = from_error(Error::InvalidFields(violations));
    let mut trailers = tonic::metadata::MetadataMap::new().into_headers();
    status.add_header(&mut trailers).unwrap();
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes < 16 * 1_024, "{bytes}");
    assert!(to_error(&status).to_string().contains("more fields are wrong"));
}
