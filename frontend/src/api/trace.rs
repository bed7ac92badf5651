//! Which click a request belongs to, as W3C trace context, so that one trace runs from the page through
//! every service.

use std::{cell::Cell, rc::Rc};

/// The trace of the person's last click and the span that is the click itself. Clones share them.
#[derive(Debug, Clone)]
pub struct Tracer {
    click: Rc<Cell<(u128, u64)>>,
    random: fn() -> u64,
}

impl Tracer {
    /// Begins with a trace for what the page asks before the first click. `random` answers any number.
    pub fn new(random: fn() -> u64) -> Self {
        let tracer = Self { click: Rc::default(), random };
        tracer.begin();
        tracer
    }

    /// A click or a key: what follows belongs to a new trace.
    pub fn begin(&self) {
        let trace = u128::from((self.random)()) << 64 | u128::from((self.random)());
        // All zeros would be invalid.
        self.click.set((trace.max(1), (self.random)().max(1)));
    }

    /// The value of the header: version, trace, the click's span, sampled. All that follows from a click has
    /// the same.
    pub fn traceparent(&self) -> String {
        let (trace, span) = self.click.get();
        format!("00-{trace:032x}-{span:016x}-01")
    }
}

/// 64 random bits from the browser; for ids, not for secrets.
pub fn random_bits() -> u64 {
    let half = || (js_sys::Math::random() * f64::from(u32::MAX)) as u64;
    half() << 32 | half()
}

/// A UUID of version 4 from random bits.
pub fn uuid4(random: fn() -> u64) -> String {
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_published_form() {
        // W3C Trace Context, section 3.2: version "-" trace-id "-" parent-id "-" flags, lower-case hex.
        let tracer = Tracer::new(|| 0xab);
        assert_eq!(tracer.traceparent(), "00-00000000000000ab00000000000000ab-00000000000000ab-01");
        assert!(Tracer::new(|| 0).traceparent().contains("1-0000000000000001-01"), "zeros are invalid");
    }

    #[test]
    fn what_follows_from_a_click_has_its_span_and_the_next_click_another_trace() {
        thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
        let tracer = Tracer::new(|| NEXT.with(|next| next.replace(next.get() + 1)));
        let first = tracer.traceparent();
        assert_eq!(tracer.clone().traceparent(), first);
        tracer.begin();
        let second = tracer.traceparent();
        assert_ne!(second[3..35], first[3..35]);
        assert_ne!(second[36..52], first[36..52]);
    }

    #[test]
    fn a_uuid4_says_its_version_and_variant() {
        assert_eq!(uuid4(|| u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid4(|| 0), "00000000-0000-4000-8000-000000000000");
    }
}
