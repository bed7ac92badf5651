//! Pages of a list (AIP-158): a size within bounds and an opaque token that only fits the request it
//! was made for. The token hides nothing; it guards against mixing up lists, not against malice.

use domain::{Error, Result, Violations};

/// Items of a page when the request does not say.
pub const DEFAULT_SIZE: usize = 50;
/// Larger sizes are lowered to this.
pub const MAX_SIZE: usize = 1_000;

/// Bytes of the hash that binds a token to its request.
const SEAL_BYTES: usize = 12;
/// Cursors are positions or resource names.
const MAX_CURSOR_BYTES: usize = 256;

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// 1 to [`MAX_SIZE`].
    pub size: usize,
    /// Where the page before ended, as given to [`token`]; `None` for the first page.
    pub after: Option<String>,
}

impl Page {
    /// Reads a request's `page_size` and `page_token`. `arguments` are the request's other fields, in
    /// a fixed order: a token made for others is refused.
    pub fn parse(page_size: i32, page_token: &str, arguments: &[&str]) -> Result<Self> {
        let mut violations = Violations::default();
        let size = match usize::try_from(page_size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => {
                violations.add("page_size", format!("{page_size} is negative"));
                DEFAULT_SIZE
            }
        };
        let after = if page_token.is_empty() { None } else { open(page_token, arguments) };
        violations.check(page_token.is_empty() || after.is_some(), "page_token", || {
            "was not made by this server for a request with these arguments".to_owned()
        });
        violations.finish()?;
        Ok(Self { size, after })
    }

    /// The first item's position in a list whose cursors are positions.
    pub fn offset(&self) -> Result<usize> {
        let Some(after) = &self.after else { return Ok(0) };
        after.parse().map_err(|_| Error::invalid("page_token", "does not hold a position"))
    }

    /// The token of the page after this one in a list of `total` items whose cursors are positions;
    /// empty after the last.
    pub fn next_token(&self, total: usize, arguments: &[&str]) -> Result<String> {
        let next = self.offset()?.saturating_add(self.size);
        Ok(if next < total { token(&next.to_string(), arguments) } else { String::new() })
    }
}

/// The `next_page_token` that leads to what comes after `cursor`.
pub fn token(cursor: &str, arguments: &[&str]) -> String {
    let seal = seal(cursor, arguments);
    seal.iter().chain(cursor.as_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn open(token: &str, arguments: &[&str]) -> Option<String> {
    if token.len() > 2 * (SEAL_BYTES + MAX_CURSOR_BYTES) || !token.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = token.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>()?;
    let (sealed, cursor) = bytes.split_at_checked(SEAL_BYTES)?;
    let cursor = std::str::from_utf8(cursor).ok()?;
    (seal(cursor, arguments) == sealed).then(|| cursor.to_owned())
}

/// Every part is preceded by its length, so that no two requests are hashed alike.
fn seal(cursor: &str, arguments: &[&str]) -> [u8; SEAL_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("deeper.dev page token v1");
    for part in arguments.iter().chain([&cursor]) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut seal = [0; SEAL_BYTES];
    hasher.finalize_xof().fill(&mut seal);
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_fields(page_size: i32, page_token: &str, arguments: &[&str]) -> Vec<String> {
        let Err(Error::InvalidFields(violations)) = Page::parse(page_size, page_token, arguments) else {
            panic!("{page_size} {page_token} was taken")
        };
        violations.iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        let size = |page_size| Page::parse(page_size, "", &[]).unwrap().size;
        assert_eq!([size(0), size(1), size(1_000), size(i32::MAX)], [50, 1, 1_000, 1_000]);
        assert_eq!(wrong_fields(-1, "zz", &[]), ["page_size", "page_token"]);
    }

    #[test]
    fn a_token_leads_on_in_the_list_it_was_made_for() {
        let arguments = ["datasets/mnist", "gold=4"];
        let first = Page::parse(2, "", &arguments).unwrap();
        let second = Page::parse(2, &first.next_token(3, &arguments).unwrap(), &arguments).unwrap();
        assert_eq!((first.offset(), second.offset()), (Ok(0), Ok(2)));
        assert_eq!(second.next_token(3, &arguments).unwrap(), "");
        let named = Page::parse(2, &token("explanations/é", &[]), &[]).unwrap();
        assert_eq!(named.after.as_deref(), Some("explanations/é"));
        assert!(named.offset().is_err());
    }

    #[test]
    fn a_token_is_refused_with_other_arguments_and_after_any_change() {
        let token = token("20", &["ab", "c"]);
        assert_eq!(wrong_fields(0, &token, &["a", "bc"]), ["page_token"]);
        assert_eq!(wrong_fields(0, &token, &["ab"]), ["page_token"]);
        for position in 0..token.len() {
            let mut tampered = token.clone().into_bytes();
            tampered[position] = if tampered[position] == b'0' { b'1' } else { b'0' };
            wrong_fields(0, std::str::from_utf8(&tampered).unwrap(), &["ab", "c"]);
        }
        for garbage in ["0", "zz", "é", &"0".repeat(9_999), &token[..10]] {
            assert_eq!(wrong_fields(0, garbage, &["ab", "c"]), ["page_token"]);
        }
    }
}
