//! `CatalogService`: parse, ask, present.

mod parse;
pub(crate) mod present;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Autoencoder, Error, ResourceName, Teacher};
use futures::{StreamExt, stream::BoxStream};
use proto::{
    catalog::raw_confusion_matrix,
    raw::{
        deeper::catalog::v1::{self as raw, catalog_service_server::CatalogService},
        google::longrunning::Operation,
    },
};
use runtime::{call::Context, page::Page, places::Places, status::from_error};
use tonic::{Request, Response, Status};

use crate::{activity, caller::Caller, catalog::Catalog};

/// Watches open at once: each looks at the whole catalog four times a second while anything changes. One more is
/// answered QUEUE_FULL, and so is a caller that has three for each that is free.
const MAX_WATCH_COUNT: usize = 4_096;

/// The public face of the catalog.
pub struct CatalogFace {
    catalog: Catalog,
    watches: Places,
}

impl CatalogFace {
    /// Serves this catalog.
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog, watches: Places::new(MAX_WATCH_COUNT) }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl CatalogService for CatalogFace {
    async fn list_datasets(&self, request: Request<raw::ListDatasetsRequest>) -> Answer<raw::ListDatasetsResponse> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token, &["datasets"]).map_err(from_error)?;
        let datasets = context.run(self.catalog.datasets()).await.map_err(from_error)?;
        let (shown, next_page_token) =
            present::page(&datasets, |dataset| dataset.name.to_string(), &page, &["datasets"]);
        Ok(Response::new(raw::ListDatasetsResponse { datasets: shown.map(Into::into).collect(), next_page_token }))
    }

    async fn get_dataset(&self, request: Request<raw::GetDatasetRequest>) -> Answer<raw::Dataset> {
        let context = Context::of(&request);
        let name = parse::name(&request.get_ref().name, ResourceName::DATASET).map_err(from_error)?;
        let dataset = context.run(self.catalog.dataset(&name)).await.map_err(from_error)?;
        Ok(Response::new((&dataset).into()))
    }

    async fn list_teachers(&self, request: Request<raw::ListTeachersRequest>) -> Answer<raw::ListTeachersResponse> {
        let (context, caller) = (Context::of(&request), Caller::of(&request));
        let request = request.into_inner();
        let list = ["teachers", &caller.name];
        let page = Page::parse(request.page_size, &request.page_token, &list).map_err(from_error)?;
        context.run(self.catalog.listed()).await.map_err(from_error)?;
        let mut teachers: Vec<_> = self.catalog.models().teachers.into_values().collect();
        caller.own_first(&mut teachers, |teacher| &teacher.creator);
        let key = |teacher: &Arc<Teacher>| present::key(teacher.creator == caller.name, &teacher.name);
        let (shown, next_page_token) = present::page(&teachers, key, &page, &list);
        let teachers = shown.map(|teacher| (&**teacher).into()).collect();
        Ok(Response::new(raw::ListTeachersResponse { teachers, next_page_token }))
    }

    async fn get_teacher(&self, request: Request<raw::GetTeacherRequest>) -> Answer<raw::Teacher> {
        let context = Context::of(&request);
        let name = parse::name(&request.get_ref().name, ResourceName::TEACHER).map_err(from_error)?;
        let teacher = context.run(self.catalog.teacher(&name)).await.map_err(from_error)?;
        Ok(Response::new((&*teacher).into()))
    }

    async fn create_teacher(&self, request: Request<raw::CreateTeacherRequest>) -> Answer<Operation> {
        let caller = Caller::of(&request);
        let new = parse::new_teacher(request.into_inner(), caller).map_err(from_error)?;
        let operation = self.catalog.create_teacher(new).await.map_err(from_error)?;
        Ok(Response::new(present::operation(&self.catalog, &operation)))
    }

    async fn delete_teacher(&self, request: Request<raw::DeleteTeacherRequest>) -> Answer<()> {
        let name = parse::name(&request.get_ref().name, ResourceName::TEACHER).map_err(from_error)?;
        self.catalog.delete_model(&Caller::of(&request), &name).await.map_err(from_error)?;
        Ok(Response::new(()))
    }

    async fn list_autoencoders(
        &self,
        request: Request<raw::ListAutoencodersRequest>,
    ) -> Answer<raw::ListAutoencodersResponse> {
        let (context, caller) = (Context::of(&request), Caller::of(&request));
        let request = request.into_inner();
        let list = ["autoencoders", &caller.name];
        let page = Page::parse(request.page_size, &request.page_token, &list).map_err(from_error)?;
        context.run(self.catalog.listed()).await.map_err(from_error)?;
        let mut all: Vec<_> = self.catalog.models().autoencoders.into_values().collect();
        caller.own_first(&mut all, |model| &model.creator);
        let key = |model: &Arc<Autoencoder>| present::key(model.creator == caller.name, &model.name);
        let (shown, next_page_token) = present::page(&all, key, &page, &list);
        let autoencoders = shown.map(|model| (&**model).into()).collect();
        Ok(Response::new(raw::ListAutoencodersResponse { autoencoders, next_page_token }))
    }

    async fn get_autoencoder(&self, request: Request<raw::GetAutoencoderRequest>) -> Answer<raw::Autoencoder> {
        let context = Context::of(&request);
        let name = parse::name(&request.get_ref().name, ResourceName::AUTOENCODER).map_err(from_error)?;
        let autoencoder = context.run(self.catalog.autoencoder(&name)).await.map_err(from_error)?;
        Ok(Response::new((&*autoencoder).into()))
    }

    async fn create_autoencoder(&self, request: Request<raw::CreateAutoencoderRequest>) -> Answer<Operation> {
        let caller = Caller::of(&request);
        let new = parse::new_autoencoder(request.into_inner(), caller).map_err(from_error)?;
        let operation = self.catalog.create_autoencoder(new).await.map_err(from_error)?;
        Ok(Response::new(present::operation(&self.catalog, &operation)))
    }

    async fn delete_autoencoder(&self, request: Request<raw::DeleteAutoencoderRequest>) -> Answer<()> {
        let name = parse::name(&request.get_ref().name, ResourceName::AUTOENCODER).map_err(from_error)?;
        self.catalog.delete_model(&Caller::of(&request), &name).await.map_err(from_error)?;
        Ok(Response::new(()))
    }

    async fn get_confusion_matrix(
        &self,
        request: Request<raw::GetConfusionMatrixRequest>,
    ) -> Answer<raw::ConfusionMatrix> {
        let context = Context::of(&request);
        let (teacher, dataset, split) =
            context.run(parse::matrix(&self.catalog, request.into_inner())).await.map_err(from_error)?;
        let found = context.run(self.catalog.confusion_matrix(&teacher, &dataset, split)).await;
        let (split, matrix) = found.map_err(from_error)?;
        Ok(Response::new(raw_confusion_matrix(&teacher, &dataset, &split, &matrix)))
    }

    async fn list_examples(&self, request: Request<raw::ListExamplesRequest>) -> Answer<raw::ListExamplesResponse> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let parsed = context.run(parse::examples(&self.catalog, &request)).await.map_err(from_error)?;
        let start = parsed.page.offset().map_err(from_error)?;
        let listed = self.catalog.list_examples(&parsed.query, start, parsed.page.size);
        let listed = context.run(listed).await.map_err(from_error)?;
        Ok(Response::new(present::examples(&listed, &parsed.arguments)))
    }

    async fn get_example(&self, request: Request<raw::GetExampleRequest>) -> Answer<raw::Example> {
        let context = Context::of(&request);
        let (name, teacher) = parse::example(request.into_inner()).map_err(from_error)?;
        let example = context.run(self.catalog.get_example(&name, teacher.as_ref())).await.map_err(from_error)?;
        Ok(Response::new((&example).into()))
    }

    type WatchActivityStream = BoxStream<'static, Result<raw::WatchActivityResponse, Status>>;

    async fn watch_activity(&self, request: Request<raw::WatchActivityRequest>) -> Answer<Self::WatchActivityStream> {
        let (context, caller) = (Context::of(&request), Caller::of(&request));
        let full = || Error::QueueFull { engine: "watches".into(), retry_after_ms: 10_000 };
        let place = self.watches.take(&context.caller).ok_or_else(full).map_err(from_error)?;
        let updates = activity::watch(self.catalog.clone(), context.draining.clone());
        let updates = context.run(updates).await.map_err(from_error)?;
        Ok(Response::new(
            updates
                .map(move |update| {
                    let _held = &place;
                    Ok(present::activity(update, &caller))
                })
                .boxed(),
        ))
    }
}
