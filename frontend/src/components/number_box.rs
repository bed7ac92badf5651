//! A text box for one number: label, range, default, reset, and the mistake told beside it. A value
//! that does not fit never leaves the box.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::format;

/// Which numbers are allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberRange {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Whether `min` itself is refused.
    pub above_min: bool,
    /// Whether only whole numbers are allowed.
    pub whole: bool,
}

impl NumberRange {
    /// Any seed that a box keeps exactly: whole numbers below 2⁵³.
    pub const SEED: Self = Self::whole(0.0, 9_007_199_254_740_991.0);

    /// Whole numbers from `min` to `max`.
    pub const fn whole(min: f64, max: f64) -> Self {
        Self { min, max, above_min: false, whole: true }
    }

    /// Numbers from `min` to `max`.
    pub const fn real(min: f64, max: f64) -> Self {
        Self { min, max, above_min: false, whole: false }
    }

    /// Numbers above `min`, up to `max`.
    pub const fn above(min: f64, max: f64) -> Self {
        Self { min, max, above_min: true, whole: false }
    }

    /// `32 to 10,000`, `above 0, at most 5`.
    pub fn words(&self) -> String {
        let text = |value: f64| {
            if self.whole && value >= 1_000.0 { format::count(value as u64) } else { format::plain(value) }
        };
        if self.above_min {
            format!("above {}, at most {}", text(self.min), text(self.max))
        } else {
            format!("{} to {}", text(self.min), text(self.max))
        }
    }

    /// Reads what was typed; the error is what to show. Thousands separators are forgiven.
    pub fn parse(&self, text: &str) -> Result<f64, String> {
        let cleaned = text.trim().replace([',', '\u{202f}', '\u{a0}', ' '], "").replace('\u{2212}', "-");
        let value: f64 = cleaned.parse().map_err(|_| format!("a number, {}", self.words()))?;
        let low_enough = value <= self.max;
        let high_enough = if self.above_min { value > self.min } else { value >= self.min };
        if !value.is_finite() || !low_enough || !high_enough {
            Err(self.words())
        } else if self.whole && value.fract() != 0.0 {
            Err(format!("a whole number, {}", self.words()))
        } else {
            Ok(value)
        }
    }
}

/// What to show.
#[derive(Properties, PartialEq)]
pub struct NumberBoxProps {
    /// Of the element; unique on the page.
    pub id: AttrValue,
    /// Above the box.
    pub label: AttrValue,
    /// What it does, in words a newcomer knows; shown on hover.
    pub help: AttrValue,
    /// What is set.
    pub value: f64,
    /// What is allowed.
    pub range: NumberRange,
    /// What reset brings back.
    pub default: f64,
    /// Whether it can be changed now.
    #[prop_or_default]
    pub disabled: bool,
    /// A new, allowed value.
    pub on_change: Callback<f64>,
    /// The box's id, and whether what it holds is allowed.
    #[prop_or_default]
    pub on_valid: Callback<(AttrValue, bool)>,
}

/// The box. What is being typed is its own; what is allowed is its owner's.
#[component]
pub fn NumberBox(props: &NumberBoxProps) -> Html {
    let typed = use_state_eq(|| None::<String>);
    {
        // A value set from elsewhere (reset, back, another image) replaces what was typed.
        let typed = typed.clone();
        let range = props.range;
        use_effect_with(props.value, move |value| {
            let same = typed.as_ref().and_then(|text| range.parse(text).ok()) == Some(*value);
            if !same {
                typed.set(None);
            }
        });
    }
    {
        // A box that leaves the page no longer keeps its owner from acting.
        let (id, on_valid) = (props.id.clone(), props.on_valid.clone());
        use_effect_with((), move |()| move || on_valid.emit((id, true)));
    }
    let text = (*typed).clone().unwrap_or_else(|| format::plain(props.value));
    let mistake = props.range.parse(&text).err();
    let on_input = {
        let (typed, range, id) = (typed.clone(), props.range, props.id.clone());
        let (on_change, on_valid) = (props.on_change.clone(), props.on_valid.clone());
        Callback::from(move |event: InputEvent| {
            let text = event.target_unchecked_into::<HtmlInputElement>().value();
            let parsed = range.parse(&text);
            typed.set(Some(text));
            on_valid.emit((id.clone(), parsed.is_ok()));
            if let Ok(value) = parsed {
                on_change.emit(value);
            }
        })
    };
    let on_reset = {
        let (typed, default, id) = (typed.clone(), props.default, props.id.clone());
        let (on_change, on_valid) = (props.on_change.clone(), props.on_valid.clone());
        Callback::from(move |_: MouseEvent| {
            typed.set(None);
            on_valid.emit((id.clone(), true));
            on_change.emit(default);
        })
    };
    let changed = mistake.is_some() || props.value != props.default;
    let hint = format!("{} ({}; default {})", props.help, props.range.words(), format::plain(props.default));
    let described = format!("{}-hint", props.id);
    html! {
        <div class={classes!("field", mistake.is_some().then_some("is-wrong"))} title={hint.clone()}>
            <label for={props.id.clone()}>{ props.label.clone() }</label>
            <span class="field-box">
                <input id={props.id.clone()} class="tabular" type="text" autocomplete="off" value={text}
                    inputmode={if props.range.whole { "numeric" } else { "decimal" }} disabled={props.disabled}
                    aria-invalid={mistake.is_some().to_string()} aria-describedby={described.clone()}
                    oninput={on_input} />
                if changed && !props.disabled {
                    <button class="field-reset" type="button" onclick={on_reset}
                        title={format!("Back to {}", format::plain(props.default))}
                        aria-label={format!("Reset {} to {}", props.label, format::plain(props.default))}>{ "\u{21ba}" }</button>
                }
            </span>
            <span id={described} class="visually-hidden">{ hint }</span>
            if let Some(mistake) = mistake {
                <span class="field-mistake" role="alert">{ mistake }</span>
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fits_leaves_the_box() {
        let count = NumberRange::whole(32.0, 10_000.0);
        assert_eq!(count.parse("1,000"), Ok(1_000.0));
        assert_eq!(count.parse(" 32 "), Ok(32.0));
        assert_eq!(count.parse("31"), Err("32 to 10,000".into()));
        assert_eq!(count.parse("40.5"), Err("a whole number, 32 to 10,000".into()));
        assert_eq!(count.parse(""), Err("a number, 32 to 10,000".into()));
        assert!(count.parse("NaN").is_err() && count.parse("inf").is_err());
    }

    #[test]
    fn an_open_end_is_refused_itself() {
        let radius = NumberRange::above(0.0, 5.0);
        assert_eq!(radius.parse("0"), Err("above 0, at most 5".into()));
        assert_eq!(radius.parse("5"), Ok(5.0));
        assert_eq!(NumberRange::real(1e-6, 100.0).parse("1e-3"), Ok(1e-3));
        assert_eq!(NumberRange::real(-5.0, 5.0).parse("\u{2212}1.5"), Ok(-1.5));
    }
}
