//! What answers are made with, whichever door a question comes by.

use std::sync::Arc;

use aws_types::SdkConfig;
use larder_lambda::Parameters;

use crate::{
    config::Config,
    line::Api,
    market::Market,
    narrative::Model,
    news::News,
    outside::Outside,
    pdfs::Pdfs,
    recently::Recently,
    reports::{ALONE, Bill, CLOSED, Inner, Kept, Reports},
    secrets::Secrets,
};

/// Reports, and where they are sent. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) reports: Reports,
    pub(crate) pdfs: Option<Pdfs>,
    pub(crate) line: Option<Api>,
}

impl Engine {
    /// By `config`. Nothing connects yet.
    pub(crate) fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        let http = Outside::default();
        let s3 = aws_sdk_s3::Client::new(aws);
        let bucket = config.bucket.as_deref();
        let kept = Kept::new(&config.cache, bucket.map(|bucket| (s3.clone(), bucket)))?;
        let pdfs = bucket.map(|bucket| Pdfs::new(s3, bucket, config.link_life, aws));
        let line = &config.line;
        let channel = line
            .secret_parameter
            .clone()
            .zip(line.token_parameter.clone());
        let has_secrets = config.model.is_some() || channel.is_some();
        let secrets = has_secrets.then(|| Parameters::new(aws).map(Secrets::new));
        let secrets = secrets.transpose()?;
        let model = config.model.clone().zip(secrets.clone());
        let model = model.map(|(settings, secrets)| Model::new(http.clone(), secrets, settings));
        let line = channel.zip(secrets).map(|(channel, secrets)| {
            let url = line.api.clone();
            Api::new(http.clone(), url, secrets, channel)
        });
        let news = config.news.as_ref();
        let inner = Inner {
            market: Market::new(http.clone(), config.market.clone()),
            news: news.map(|url| News::new(http.clone(), url)),
            model,
            spent: Bill::default(),
            trouble: Recently::new(ALONE),
            sessions: Recently::new(CLOSED),
            kept,
            config,
        };
        Ok(Self {
            reports: Reports {
                inner: Arc::new(inner),
            },
            pdfs,
            line,
        })
    }
}
