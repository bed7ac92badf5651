//! What the proto files say of a method: who streams, and whether a call may be made twice.

use std::{collections::HashMap, sync::OnceLock};

use prost::Message;
use prost_types::{FileDescriptorSet, method_options::IdempotencyLevel};

/// A method of one of our services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// The request is more than one message.
    pub(super) streams_in: bool,
    /// The answer is more than one message.
    pub(super) streams_out: bool,
    /// Making the call twice is the same as making it once.
    pub(super) is_repeatable: bool,
}

/// The method at a path, `/package.Service/Method`; `None` for a stranger's.
pub(super) fn of(path: &str) -> Option<Method> {
    static METHODS: OnceLock<HashMap<String, Method>> = OnceLock::new();
    METHODS.get_or_init(|| read(proto::raw::DESCRIPTORS)).get(path).copied()
}

/// The only service of the package of that name, for health checks: `teacher` is
/// `deeper.teacher.v1.TeacherService`. The process as a whole, "", where there is none or more than one.
pub(super) fn health_name(service: &str) -> String {
    let package = format!("deeper.{service}.v1");
    let files = FileDescriptorSet::decode(proto::raw::DESCRIPTORS).unwrap_or_default().file;
    let mut names = files
        .iter()
        .filter(|file| file.package() == package)
        .flat_map(|file| file.service.iter().map(|service| format!("{package}.{}", service.name())));
    match (names.next(), names.next()) {
        (Some(name), None) => name,
        _ => String::new(),
    }
}

fn read(descriptors: &[u8]) -> HashMap<String, Method> {
    // They are our own; if they did not decode, reflection would not have started.
    let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
    let mut methods = HashMap::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let level = method.options.as_ref().map(|options| options.idempotency_level());
                let found = Method {
                    streams_in: method.client_streaming(),
                    streams_out: method.server_streaming(),
                    is_repeatable: level.is_some_and(|level| level != IdempotencyLevel::IdempotencyUnknown),
                };
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()), found);
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proto_files_say_what_may_be_repeated() {
        let classify = of("/deeper.teacher.v1.TeacherService/ClassifyImages").unwrap();
        assert_eq!(classify, Method { streams_in: false, streams_out: false, is_repeatable: true });
        let create = of("/deeper.explanation.v1.ExplanationService/CreateExplanation").unwrap();
        assert!(!create.is_repeatable, "a second one would be another explanation");
        let distill = of("/deeper.student.v1.StudentService/DistillStudent").unwrap();
        assert!(distill.streams_in && distill.streams_out);
        assert_eq!(of("/test.v1.Oracle/Ask"), None);
    }

    #[test]
    fn health_is_asked_of_the_service_or_of_the_process() {
        assert_eq!(health_name("teacher"), "deeper.teacher.v1.TeacherService");
        assert_eq!(health_name("student"), "deeper.student.v1.StudentService");
        assert_eq!(health_name("orchestrator"), "");
    }
}
