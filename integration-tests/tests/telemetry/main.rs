//! docs/TELEMETRY.md and the code name the same metrics, spans and log fields, units and attributes included.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dead;
mod emitted;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::listed::{Listed, Metric};

use self::sources::Sources;

#[test]
fn what_the_sources_emit_is_what_is_listed() {
    let (listed, sources) = (Listed::read(), Sources::read());
    let units = |(name, metric): (&String, &Metric)| (name.clone(), Some(metric.unit.clone()));
    let listed_metrics: BTreeMap<String, Option<String>> = listed.metrics.iter().map(units).collect();
    assert_eq!(sources.metrics, listed_metrics);
    let mut attributes: BTreeSet<String> =
        listed.metrics.values().flat_map(|metric| metric.attributes.iter().cloned()).collect();
    // Of the resource, which every point has.
    attributes.insert("service.version".to_owned());
    assert_eq!(sources.attributes, attributes);
    assert_eq!(sources.spans, listed.spans);
    assert_eq!(sources.log_fields, listed.log_fields);
}

#[test]
fn the_reader_of_sources_sees_what_is_emitted_wherever_it_stands() {
    let sources = Sources::of(
        r#"
        fn emits(meter: Meter, span: &Span) {
            let made = vec![meter.u64_counter("a.count").with_unit("{job}").with_description("jobs").build()];
            made[0].add(1, &[KeyValue::new("a.key", "value")]);
            tokio::select! {
                () = ended() => tracing::warn!(one.two = %error, type.three, ?four, "said {five}"),
                Ok(x) = other() => { info!(six = x.len(), "said"); }
            }
            let span = info_span!(parent: span, "a.span", seven, eight = 8, otel.name = "hidden");
        }
        #[cfg(test)]
        mod tests {
            fn hidden() { tracing::info!(nine = 9, "hidden"); }
        }
        "#,
    );
    let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(sources.metrics, BTreeMap::from([("a.count".to_owned(), Some("{job}".to_owned()))]));
    assert_eq!(sources.attributes, set(&["a.key"]));
    assert_eq!(sources.spans, BTreeMap::from([("a.span".to_owned(), set(&["seven", "eight"]))]));
    assert_eq!(sources.log_fields, set(&["one.two", "type.three", "four", "six"]));
}

#[test]
#[should_panic(expected = "is not written out")]
fn a_name_that_is_put_together_elsewhere_is_not_taken() {
    Sources::of("fn emits(meter: Meter, name: &'static str) { meter.u64_counter(name).build(); }");
}
