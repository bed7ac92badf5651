//! Facts about callers: who is believed, and what they may do.

use super::*;

const KEYS: &str = "# programs\nana user 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n\
                    ops admin 486EA46224D1BB4FB680F34F7C9AD96A8F24EC88BE73EA8E5A6C65260E9CB8A7\n";

/// SHA-256 of `hello` and of `world` are above, as sha256sum prints them.
fn callers() -> Callers {
    let mut violations = domain::Violations::default();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEYS).unwrap();
    let keys = Keys::read(file.path()).map_err(|error| violations.add("", error.to_string())).ok();
    violations.finish().unwrap();
    Callers { gateways: vec!["10.8.0.0/14".parse().unwrap()], keys, limits: Limits::default() }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[test]
fn a_trusted_gateway_speaks_for_its_users_and_nobody_else_does() {
    let ana = headers(&[(USER_HEADER, "ana@example.org"), ("authorization", "Bearer of something else")]);
    let inside: IpAddr = "10.9.1.2".parse().unwrap();
    assert_eq!(callers().identify(&ana, Some(inside)), Ok(Caller::user("ana@example.org")));
    let mapped: IpAddr = "::ffff:10.9.1.2".parse().unwrap();
    assert!(callers().identify(&ana, Some(mapped)).is_ok());
    for peer in [None, Some("10.12.0.1".parse().unwrap()), Some("::1".parse().unwrap())] {
        let refused = callers().identify(&ana, peer);
        assert!(matches!(refused, Err(Error::PermissionDenied { reason: "GATEWAY_NOT_TRUSTED", .. })), "{peer:?}");
    }
    for name in ["", "a b", "ä", &"x".repeat(129)] {
        let named = headers(&[(USER_HEADER, name)]);
        assert!(matches!(callers().identify(&named, Some(inside)), Err(Error::InvalidFields(_))), "{name}");
    }
}

#[test]
fn a_key_names_its_owner_and_a_wrong_one_is_refused() {
    let identify = |key: &str| callers().identify(&headers(&[("authorization", key)]), None);
    assert_eq!(identify("Bearer hello"), Ok(Caller::user("ana")));
    assert_eq!(identify("bearer world").unwrap().role, Role::Admin);
    assert_eq!(identify("Bearer hullo"), Err(Error::Unauthenticated));
    assert_eq!(identify("Basic aGVsbG8="), Ok(Caller::anonymous(Role::User)));
    assert_eq!(callers().identify(&HeaderMap::new(), None), Ok(Caller::anonymous(Role::User)));
}

#[test]
fn where_nobody_is_told_apart_anonymous_is_everybody() {
    let key = headers(&[("authorization", "Bearer whatever")]);
    assert_eq!(Callers::default().identify(&key, None), Ok(Caller::anonymous(Role::Admin)));
}

#[test]
fn every_wrong_line_of_a_key_file_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hash = "0".repeat(64);
    std::fs::write(file.path(), format!("ana user {hash}\nben owner {hash}\ncai user 12\nd/e user {hash}\n")).unwrap();
    let Err(Error::InvalidFields(violations)) = Keys::read(file.path()) else { panic!("it has wrong lines") };
    let told: Vec<String> = violations.iter().map(|it| it.description.clone()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 2 ") && told[2].starts_with("line 4 "), "{told:?}");
    assert!(Keys::read(std::path::Path::new("/no/such/file")).is_err());
}

#[test]
fn only_creators_and_admins_change_things_and_only_users_have_limits() {
    let (ana, ops) = (Caller::user("ana"), Caller { name: "ops".into(), role: Role::Admin });
    assert!(ana.may_change("ana", "teachers/t", "delete").is_ok());
    assert!(ops.may_change("ana", "teachers/t", "delete").is_ok());
    let refused = ana.may_change("ben", "teachers/t", "delete");
    assert!(matches!(refused, Err(Error::PermissionDenied { reason: "NOT_THE_CREATOR", .. })));
    assert!(ana.check_quota("trainings", 3, 4).is_ok());
    assert!(matches!(ana.check_quota("trainings", 4, 4), Err(Error::QuotaExceeded { limit: 4, .. })));
    assert!(ops.check_quota("trainings", 400, 4).is_ok());
}

#[test]
fn ones_own_come_first_and_the_order_stays() {
    let mut items = [("a", "ben"), ("b", "ana"), ("c", "ben"), ("d", "ana")];
    Caller::user("ana").own_first(&mut items, |item| item.1);
    assert_eq!(items.map(|item| item.0), ["b", "d", "a", "c"]);
}
