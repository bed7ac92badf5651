//! What every process needs and none should write twice: one gate for the machine's compute, engine
//! threads, servers and channels with deadlines that work, telemetry, configuration, pages.
//!
//! # The shape of a service
//!
//! `lib.rs` joins ports and adapters; nothing else names both:
//!
//! ```ignore
//! /// Free of adapters: the binary, the standalone system and the tests call this with theirs.
//! pub async fn serve(models: Models, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
//!     let face = TeacherServiceServer::new(grpc::Face::new(models))
//!         .max_decoding_message_size(MAX_MESSAGE_BYTES)
//!         .max_encoding_message_size(MAX_MESSAGE_BYTES);
//!     Server::new("teacher", proto::raw::DESCRIPTORS).add(face).serve(incoming, shutdown).await
//! }
//! ```
//!
//! `grpc.rs` is the face; each RPC is parse, ask, present:
//!
//! ```ignore
//! async fn classify_images(&self, request: Request<raw::ClassifyImagesRequest>) -> Result<Response<raw::ClassifyImagesResponse>, Status> {
//!     let context = Context::of(&request);
//!     let question = ClassifyImages::try_from(request.into_inner()).map_err(status::from_error)?;
//!     let logits = context.run(self.models.classify(question)).await.map_err(status::from_error)?;
//!     Ok(Response::new(logits.into()))
//! }
//! ```
//!
//! `main.rs` is telemetry, configuration, bind, run:
//!
//! ```ignore
//! let telemetry = telemetry::init("teacher");
//! let config: Config = config::load();
//! let shutdown = shutdown::on_signal();
//! let listener = TcpListener::bind(config.listen).await?;
//! let outcome = teacher::run(config, listener, shutdown).await;
//! telemetry.shutdown().await;
//! ```
//!
//! # Threads
//!
//! Async tasks only wait. Whatever computes runs on an [`engine::Engine`]'s thread or in a
//! [`long::TrainingQueue`], both of which pass the process's one [`gate::Gate`] step by step.

pub mod call;
mod caller;
pub mod channel;
pub mod config;
pub mod engine;
pub mod gate;
pub mod job;
pub mod long;
mod metrics;
mod observe;
pub mod page;
pub mod places;
pub mod readiness;
pub mod retry;
pub mod server;
pub mod shutdown;
pub mod status;
pub mod telemetry;
mod timeout;
