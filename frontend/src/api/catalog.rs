//! Data sets, models, matrices, examples, and the stream of what changes.

use domain::{
    AutoencoderRecipe, ConfusionMatrix, Error, Example, Label, Progress, ResourceName, Result, TeacherRecipe,
};
use proto::{
    raw::deeper::catalog::v1::{
        self as raw, ActivitySnapshot, OperationActivity, WatchActivityRequest, WatchActivityResponse,
        watch_activity_response::Update,
    },
    rpc::error_from_rpc,
};

use super::{Api, Watch, error_of, incomplete, trace};
use crate::{
    route::ExampleOrder,
    state::{
        Activity, Catalog, CatalogUpdate, ExampleKey, MatrixKey, Viewer,
        gallery::{ExamplePage, PAGE_SIZE, PageRequest},
    },
};

impl Api {
    /// All there is, then every change.
    pub async fn watch_activity(&self) -> Result<Watch<WatchActivityResponse, CatalogUpdate>> {
        let answer = self.catalog_streams().watch_activity(self.request(WatchActivityRequest {})).await;
        Ok(Watch::new(answer.map_err(|status| error_of(&status))?.into_inner(), update))
    }

    /// How often each gold label was given each predicted label.
    pub async fn confusion_matrix(&self, key: &MatrixKey) -> Result<ConfusionMatrix> {
        let request = raw::GetConfusionMatrixRequest {
            teacher: key.teacher.to_string(),
            dataset: key.dataset.to_string(),
            split: key.split.clone(),
        };
        let answer = self.catalog().get_confusion_matrix(self.request(request)).await;
        answer.map_err(|status| error_of(&status))?.into_inner().try_into()
    }

    /// One page of labelled images with the teacher's answers.
    pub async fn list_examples(&self, page: &PageRequest) -> Result<ExamplePage> {
        let key = &page.key;
        let order = match key.order {
            ExampleOrder::Confidence => raw::ExampleOrder::Confidence,
            ExampleOrder::Margin => raw::ExampleOrder::Margin,
            ExampleOrder::Index => raw::ExampleOrder::Index,
        };
        let number = |label: Option<Label>| label.map(|label| label.0);
        let request = raw::ListExamplesRequest {
            parent: key.dataset.to_string(),
            split: key.split.clone(),
            teacher: key.teacher.to_string(),
            gold_label: number(key.gold),
            predicted_label: number(key.predicted),
            errors_only: key.errors_only,
            order: order.into(),
            page_size: PAGE_SIZE as i32,
            page_token: page.page_token.clone(),
        };
        let answer = self.catalog().list_examples(self.request(request)).await;
        let answer = answer.map_err(|status| error_of(&status))?.into_inner();
        let examples = answer.examples.into_iter().map(Example::try_from).collect::<Result<_>>()?;
        Ok(ExamplePage { examples, next_page_token: answer.next_page_token, total: answer.total_size })
    }

    /// One labelled image with the teacher's answer.
    pub async fn example(&self, key: &ExampleKey) -> Result<Example> {
        let request = raw::GetExampleRequest { name: key.name.to_string(), teacher: key.teacher.to_string() };
        let answer = self.catalog().get_example(self.request(request)).await;
        answer.map_err(|status| error_of(&status))?.into_inner().try_into()
    }

    /// Trains an autoencoder; its progress comes by [`Api::watch_activity`].
    pub async fn create_autoencoder(&self, id: &str, recipe: &AutoencoderRecipe) -> Result<()> {
        let request = raw::CreateAutoencoderRequest {
            autoencoder_id: id.to_owned(),
            display_name: String::new(),
            recipe: Some(recipe.into()),
            request_id: trace::uuid4(trace::random_bits),
        };
        self.catalog().create_autoencoder(self.request(request)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }

    /// Trains a teacher that failed or was cancelled again, under its own name.
    pub async fn train_teacher_again(&self, name: &ResourceName, recipe: &TeacherRecipe) -> Result<()> {
        match self.create_teacher(name.id(), recipe).await {
            Err(Error::AlreadyExists { .. }) => {}
            other => return other,
        }
        let request = raw::DeleteTeacherRequest { name: name.to_string() };
        self.catalog().delete_teacher(self.request(request)).await.map_err(|status| error_of(&status))?;
        self.create_teacher(name.id(), recipe).await
    }

    /// Trains an autoencoder that failed or was cancelled again, under its own name.
    pub async fn train_autoencoder_again(&self, name: &ResourceName, recipe: &AutoencoderRecipe) -> Result<()> {
        match self.create_autoencoder(name.id(), recipe).await {
            Err(Error::AlreadyExists { .. }) => {}
            other => return other,
        }
        self.delete_autoencoder(name).await?;
        self.create_autoencoder(name.id(), recipe).await
    }

    /// Deletes an autoencoder with its weights.
    pub async fn delete_autoencoder(&self, name: &ResourceName) -> Result<()> {
        let request = raw::DeleteAutoencoderRequest { name: name.to_string() };
        self.catalog().delete_autoencoder(self.request(request)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }

    async fn create_teacher(&self, id: &str, recipe: &TeacherRecipe) -> Result<()> {
        let request = raw::CreateTeacherRequest {
            teacher_id: id.to_owned(),
            display_name: String::new(),
            recipe: Some(recipe.into()),
            request_id: trace::uuid4(trace::random_bits),
        };
        self.catalog().create_teacher(self.request(request)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }
}

fn update(message: WatchActivityResponse) -> Result<CatalogUpdate> {
    match message.update.ok_or_else(|| incomplete("update"))? {
        Update::Snapshot(snapshot) => catalog(snapshot).map(CatalogUpdate::Snapshot),
        Update::Dataset(dataset) => dataset.try_into().map(CatalogUpdate::Dataset),
        Update::Teacher(teacher) => teacher.try_into().map(CatalogUpdate::Teacher),
        Update::Autoencoder(autoencoder) => autoencoder.try_into().map(CatalogUpdate::Autoencoder),
        Update::Operation(operation) => activity(operation).map(CatalogUpdate::Operation),
        Update::Deleted(name) => Ok(CatalogUpdate::Deleted(name)),
    }
}

/// By way of single updates, so that the order of the lists is the page's own.
fn catalog(snapshot: ActivitySnapshot) -> Result<Catalog> {
    let viewer = snapshot.caller.map(|caller| Viewer { name: caller.name, may_change_all: caller.may_change_all });
    let mut catalog = Catalog { viewer: viewer.unwrap_or_default(), ..Catalog::default() };
    for dataset in snapshot.datasets {
        catalog.apply(CatalogUpdate::Dataset(dataset.try_into()?));
    }
    for teacher in snapshot.teachers {
        catalog.apply(CatalogUpdate::Teacher(teacher.try_into()?));
    }
    for autoencoder in snapshot.autoencoders {
        catalog.apply(CatalogUpdate::Autoencoder(autoencoder.try_into()?));
    }
    for operation in snapshot.operations {
        catalog.apply(CatalogUpdate::Operation(activity(operation)?));
    }
    Ok(catalog)
}

fn activity(operation: OperationActivity) -> Result<Activity> {
    let mut progress = operation.progress.map(Progress::try_from).transpose()?;
    let curve = progress.as_mut().map(|progress| std::mem::take(&mut progress.loss_curve));
    Ok(Activity {
        name: operation.name,
        target: operation.target,
        creator: operation.creator,
        done: operation.done,
        error: operation.error.map(error_from_rpc),
        progress,
        curve: curve.unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing;

    #[test]
    fn a_snapshot_is_read_whole_and_sorted_by_name() {
        let teachers = ["b", "a"].map(|id| (&testing::teacher(id, domain::ModelState::Ready)).into());
        let caller = Some(raw::Caller { name: "ana".to_owned(), may_change_all: false });
        let snapshot = ActivitySnapshot { teachers: teachers.into(), caller, ..Default::default() };
        let message = WatchActivityResponse { update: Some(Update::Snapshot(snapshot)) };
        let Ok(CatalogUpdate::Snapshot(catalog)) = update(message) else { panic!("it is a snapshot") };
        let ids: Vec<&str> = catalog.teachers.iter().map(|teacher| teacher.name.id()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(catalog.viewer.may_change("ana") && !catalog.viewer.may_change("ben"));
    }

    #[test]
    fn an_empty_message_is_our_own_fault() {
        assert!(matches!(update(WatchActivityResponse { update: None }), Err(Error::Unexpected(_))));
    }
}
