//! The standalone program `deeper` on small real models: trained once from a seed with one thread, kept below
//! cargo's target folder, and copied for every test, so that no test sees what another one left.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use proto::raw::deeper::catalog::v1::{
    self as catalog, ModelState, WatchActivityRequest, watch_activity_response::Update,
};
use tempfile::TempDir;

use crate::{
    api::Api,
    programs::{Program, binary, free_address},
    trust::Models,
};

/// Changes when the recipes of `deeper --bootstrap-teacher small-cnn` or the store's layout do.
const KEPT_AS: &str = "small-models-1";
/// The classifier that is made.
pub const TEACHER: &str = "teachers/small-cnn-mnist";
/// The autoencoder that is made.
pub const AUTOENCODER: &str = "autoencoders/vae-10-small";

/// A running system with small models.
pub struct SmallSystem {
    /// `deeper`.
    pub program: Program,
    /// Its public API.
    pub api: Api,
    /// Its data; removed at the end.
    pub data: TempDir,
    arguments: Vec<(String, String)>,
}

/// A system that was killed, with its data.
pub struct Killed {
    address: SocketAddr,
    data: TempDir,
    arguments: Vec<(String, String)>,
}

/// MNIST's four files; tests that need them say so and pass when nobody has said where they are.
pub fn mnist_folder() -> Option<PathBuf> {
    let folder = env::var_os("DEEPER_TEST_MNIST_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: DEEPER_TEST_MNIST_DIR is not set; `cargo xtask test` sets it");
    }
    folder
}

/// The built page, likewise.
pub fn page_folder() -> Option<PathBuf> {
    let folder = env::var_os("DEEPER_TEST_PAGE_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: DEEPER_TEST_PAGE_DIR is not set; `cargo xtask test` sets it");
    }
    folder
}

impl SmallSystem {
    /// A system of one's own with trained models. `flags` go to `deeper`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(mnist: &Path, flags: &[(&str, &str)]) -> Self {
        let data = trained_data(mnist).await;
        let arguments = arguments(mnist, data.path(), flags);
        let (program, api) = run(free_address(), &arguments).await;
        Self { program, api, data, arguments }
    }

    /// Kills it: no drain, no last word.
    pub async fn kill(self) -> Killed {
        let address = self.program.address;
        self.program.kill().await;
        Killed { address, data: self.data, arguments: self.arguments }
    }

    /// Its two models.
    ///
    /// # Panics
    /// When it has them not.
    pub async fn models(&self) -> Models {
        let request = catalog::GetTeacherRequest { name: TEACHER.to_owned() };
        let teacher = self.api.catalog.clone().get_teacher(request).await.expect("the teacher is there").into_inner();
        Models { teacher, autoencoder: AUTOENCODER.to_owned() }
    }
}

impl Killed {
    /// The same system at the same place.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_again(self) -> SmallSystem {
        let (program, api) = run(self.address, &self.arguments).await;
        SmallSystem { program, api, data: self.data, arguments: self.arguments }
    }
}

/// A copy of the kept data folder; the models are trained first if nobody has done so yet.
///
/// # Panics
/// When they cannot be trained or copied.
pub async fn trained_data(mnist: &Path) -> TempDir {
    let programs = binary("deeper");
    let kept = programs.parent().expect("a program lies in a folder").join(KEPT_AS);
    // Tests of several programs may come at the same time: one trains, the others wait.
    let lock = fs::File::create(kept.with_extension("lock")).expect("the target folder can be written");
    lock.lock().expect("a file of ours can be locked");
    if !kept.is_dir() {
        train(mnist, &kept).await;
    }
    let copy = TempDir::new().expect("a temporary folder can be made");
    copy_folder(&kept, copy.path()).expect("the kept models can be copied");
    copy
}

async fn train(mnist: &Path, kept: &Path) {
    let partial = kept.with_extension("partial");
    fs::remove_dir_all(&partial).ok();
    let (program, api) = run(free_address(), &arguments(mnist, &partial, &[])).await;
    until_ready(&api).await;
    program.stop().await;
    fs::rename(&partial, kept).expect("the models can be kept");
}

fn arguments(mnist: &Path, data: &Path, flags: &[(&str, &str)]) -> Vec<(String, String)> {
    let (mnist, data) = (mnist.to_string_lossy(), data.to_string_lossy());
    let mut all = vec![
        ("--data-dir", &*data),
        ("--mnist-dir", &*mnist),
        ("--bootstrap-teacher", "small-cnn"),
        // The same on every machine, whether it has bf16 or not.
        ("--teacher-precision", "f32"),
        ("--threads", "1"),
    ];
    all.extend(flags);
    all.into_iter().map(|(flag, value)| (flag.to_owned(), value.to_owned())).collect()
}

async fn run(address: SocketAddr, arguments: &[(String, String)]) -> (Program, Api) {
    let arguments: Vec<(&str, &str)> = arguments.iter().map(|(flag, value)| (flag.as_str(), value.as_str())).collect();
    let program = Program::start_at(address, "deeper", &arguments).await;
    let api = Api::over(runtime::channel::connect("orchestrator", &program.url()).expect("a port is an address"));
    (program, api)
}

/// Watches until both models are ready.
async fn until_ready(api: &Api) {
    let watch = api.catalog.clone().watch_activity(WatchActivityRequest {}).await;
    let mut watch = watch.expect("the activity can be watched").into_inner();
    let (mut teacher, mut autoencoder) = (ModelState::Unspecified, ModelState::Unspecified);
    while (teacher, autoencoder) != (ModelState::Ready, ModelState::Ready) {
        let message = watch.message().await.expect("the system goes on").expect("the watch has no end");
        let (teachers, autoencoders) = match message.update {
            Some(Update::Snapshot(snapshot)) => (snapshot.teachers, snapshot.autoencoders),
            Some(Update::Teacher(teacher)) => (vec![teacher], vec![]),
            Some(Update::Autoencoder(autoencoder)) => (vec![], vec![autoencoder]),
            _ => (vec![], vec![]),
        };
        for model in teachers {
            assert_ne!(model.state(), ModelState::Failed, "{}", model.failure);
            teacher = model.state();
        }
        for model in autoencoders {
            assert_ne!(model.state(), ModelState::Failed, "{}", model.failure);
            autoencoder = model.state();
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
