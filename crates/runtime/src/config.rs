//! What the services' `Config` structs share: how they are read (flags and `DEEPER_*` variables, every
//! mistake at once) and how many threads a container really has.

use std::{ffi::OsString, fs, num::NonZero, path::Path, thread};

use clap::{
    Command, Parser,
    builder::ValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use domain::{Error, Result, Violations};

/// What flags alone cannot tell: rules between two settings, files that must exist.
pub trait Validate {
    /// Every mistake at once; fields are the flags' names, such as `--listen`.
    fn validate(&self) -> Result<()>;
}

/// Reads the configuration of this process. On mistakes, prints all of them to standard error and
/// ends the process with code 2; `--help` and `--version` end it as usual.
pub fn load<C: Parser + Validate>() -> C {
    match parse(std::env::args_os()) {
        Ok(config) => config,
        Err(Rejected::Clap(error)) => error.exit(),
        Err(Rejected::Mistakes(violations)) => {
            let mut text = "the configuration is wrong:".to_owned();
            for violation in violations.iter() {
                text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
            }
            C::command().error(ErrorKind::ValueValidation, text).exit()
        }
    }
}

/// Why [`parse`] has no configuration.
#[derive(Debug)]
pub enum Rejected {
    /// Help, version, or an error about the shape of the command line.
    Clap(clap::Error),
    /// Every wrong value.
    Mistakes(Violations),
}

/// Reads a configuration from these arguments (the first is the program) and the environment.
pub fn parse<C: Parser + Validate>(arguments: impl IntoIterator<Item = OsString>) -> Result<C, Rejected> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let error = match C::command().try_get_matches_from(&arguments) {
        Ok(mut matches) => {
            let config = C::from_arg_matches_mut(&mut matches).map_err(Rejected::Clap)?;
            return match config.validate() {
                Ok(()) => Ok(config),
                Err(Error::InvalidFields(violations)) => Err(Rejected::Mistakes(violations)),
                Err(other) => Err(Rejected::Clap(C::command().error(ErrorKind::ValueValidation, other))),
            };
        }
        Err(error) => error,
    };
    Err(match every_wrong_value(C::command(), &arguments, &error) {
        Some(violations) => Rejected::Mistakes(violations),
        None => Rejected::Clap(error),
    })
}

/// clap stops at the first wrong value. Each one is noted, its argument made to take anything, and the
/// rest tried again.
fn every_wrong_value(mut command: Command, arguments: &[OsString], first: &clap::Error) -> Option<Violations> {
    let mut violations = Violations::default();
    let mut wrong = wrong_value(first)?;
    // Only a built command can show its arguments as its errors do.
    let mut built = command.clone();
    built.build();
    for _ in 0..built.get_arguments().count() {
        let argument = built.get_arguments().find(|argument| argument.to_string() == wrong.shown)?;
        let (id, flag) = (argument.get_id().clone(), argument.get_long().map(|long| format!("--{long}")));
        violations.add(flag.unwrap_or(wrong.shown), wrong.description);
        command = command.mut_arg(id, |argument| argument.value_parser(ValueParser::os_string()));
        match command.clone().try_get_matches_from(arguments).map_err(|error| wrong_value(&error)) {
            Err(Some(next)) => wrong = next,
            Ok(_) | Err(None) => break,
        }
    }
    Some(violations)
}

struct WrongValue {
    /// As clap shows the argument: `--listen <LISTEN>`.
    shown: String,
    description: String,
}

fn wrong_value(error: &clap::Error) -> Option<WrongValue> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let allowed = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => Some(format!("is not one of {}", values.join(", "))),
        _ => None,
    };
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let reason = allowed.or(cause).unwrap_or_else(|| "is not allowed".to_owned());
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    Some(WrongValue { shown: text(ContextKind::InvalidArg)?, description: format!("{value:?}: {reason}") })
}

/// Whole CPUs that this process may use, at least 1: the cgroup's quota where there is one, rounded up,
/// and never more than the machine has.
pub fn cpu_count() -> usize {
    let machine = thread::available_parallelism().map_or(1, NonZero::get);
    quota(Path::new("/sys/fs/cgroup")).map_or(machine, |quota| (quota.ceil() as usize).clamp(1, machine))
}

/// CPUs by cgroup v2's `cpu.max` or v1's `cpu.cfs_quota_us` over `cpu.cfs_period_us`.
fn quota(root: &Path) -> Option<f64> {
    if let Ok(text) = fs::read_to_string(root.join("cpu.max")) {
        let (quota, period) = text.trim().split_once(' ')?;
        return ratio(quota, period);
    }
    let read = |name| fs::read_to_string(root.join("cpu").join(name)).ok();
    ratio(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

/// `max` (v2) and -1 (v1) mean that there is no quota.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// A configuration to test with.
    #[derive(Debug, Parser)]
    struct Config {
        #[arg(long, env = "DEEPER_CONFIG_TEST_LISTEN", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
        #[arg(long, default_value = "")]
        teacher: String,
    }

    impl Validate for Config {
        fn validate(&self) -> Result<()> {
            let mut violations = Violations::default();
            violations.check(!self.teacher.is_empty(), "--teacher", || "is required".into());
            violations.check(self.listen.port() != 1, "--listen", || "port 1 is taken".into());
            violations.finish()
        }
    }

    fn mistakes(arguments: &[&str]) -> String {
        let arguments = ["test"].iter().chain(arguments).map(OsString::from);
        match parse::<Config>(arguments) {
            Err(Rejected::Mistakes(violations)) => violations.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_wrong_values_are_reported_together() {
        let told = mistakes(&["--listen", "nowhere", "--threads", "65"]);
        assert!(told.contains("--listen: \"nowhere\"") && told.contains("--threads: \"65\""), "{told}");
        assert!(told.contains("65 is not in 1..=64"), "{told}");
        let told = mistakes(&["--listen", "127.0.0.1:1"]);
        assert_eq!(told, "--teacher: is required; --listen: port 1 is taken");
    }

    #[test]
    fn right_values_make_a_configuration() {
        let config: Config = parse(["test", "--teacher", "t", "--threads", "3"].map(OsString::from)).unwrap();
        assert_eq!((config.threads, config.listen.port()), (3, 8080));
    }

    #[test]
    fn an_unknown_flag_is_claps_own_error() {
        let outcome = parse::<Config>(["test", "--unknown"].map(OsString::from));
        assert!(matches!(outcome, Err(Rejected::Clap(error)) if error.kind() == ErrorKind::UnknownArgument));
    }

    #[test]
    fn quotas_of_both_cgroup_versions_are_read() {
        let root = std::env::temp_dir().join(format!("runtime-cgroup-{}", std::process::id()));
        fs::create_dir_all(root.join("cpu")).unwrap();
        assert_eq!(quota(&root), None);
        fs::write(root.join("cpu/cpu.cfs_quota_us"), "-1\n").unwrap();
        fs::write(root.join("cpu/cpu.cfs_period_us"), "100000\n").unwrap();
        assert_eq!(quota(&root), None);
        fs::write(root.join("cpu/cpu.cfs_quota_us"), "50000\n").unwrap();
        assert_eq!(quota(&root), Some(0.5));
        fs::write(root.join("cpu.max"), "max 100000\n").unwrap();
        assert_eq!(quota(&root), None);
        fs::write(root.join("cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(quota(&root), Some(1.5));
        fs::remove_dir_all(&root).unwrap();
        assert!(cpu_count() >= 1);
    }
}
