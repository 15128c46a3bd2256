//! What reports are made of and where they go: prices and news, a model, LINE, a bucket and the parameters with secrets.

use anyhow::Context as _;
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    chat::Chat,
    line::Line,
    market::Market,
    moto::{Api, Moto},
};

const BUCKET: &str = "reports";
const MODEL_KEY: &str = "local-model-key";
const CHANNEL_SECRET: &str = "local-channel-secret";
const CHANNEL_TOKEN: &str = "local-channel-token";
/// The parameters, and what is in them.
const PARAMETERS: [(&str, &str); 3] = [
    ("/larder/llm-api-key", MODEL_KEY),
    ("/larder/line-channel-secret", CHANNEL_SECRET),
    ("/larder/line-channel-token", CHANNEL_TOKEN),
];

/// All that reports need, running.
#[derive(Debug)]
pub struct Reports {
    /// Prices and news.
    pub market: Market,
    /// The model.
    pub chat: Chat,
    /// LINE.
    pub line: Line,
    /// The bucket that reports are kept in, which moto has.
    pub bucket: String,
}

impl Reports {
    /// Starts it, with a bucket and the parameters in `moto`.
    pub async fn start(moto: &Moto) -> anyhow::Result<Self> {
        Self::with_bucket(moto, BUCKET).await
    }

    /// The same with a bucket of this name.
    pub async fn with_bucket(moto: &Moto, bucket: &str) -> anyhow::Result<Self> {
        let create = moto.s3().await.create_bucket().bucket(bucket);
        create.send().await.context("could not make a bucket")?;
        for (name, value) in PARAMETERS {
            put_parameter(moto, name, value).await?;
        }
        Ok(Self {
            market: Market::start().await?,
            chat: Chat::start(MODEL_KEY).await?,
            line: Line::start(CHANNEL_TOKEN).await?,
            bucket: bucket.to_owned(),
        })
    }

    /// What LINE's webhooks are signed with.
    #[must_use]
    pub fn channel_secret(&self) -> &'static str {
        CHANNEL_SECRET
    }

    /// The header `X-Line-Signature` of a webhook with this body.
    #[must_use]
    pub fn line_signature(&self, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.channel_secret().as_bytes());
        STANDARD.encode(hmac::sign(&key, body.as_bytes()))
    }

    /// The variables that have functions use it, with a model that writes.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let [(key, _), (secret, _), (token, _)] = PARAMETERS;
        vec![
            ("PDF_BUCKET_NAME", self.bucket.clone()),
            // As the template has it.
            ("POPULAR_TICKERS", "DBS19,PTT19,TENCENT19".to_owned()),
            ("MARKET_DATA_URL", self.market.url()),
            ("NEWS_URL", self.market.url()),
            ("LLM_URL", self.chat.url()),
            ("LLM_API_KEY_PARAMETER", key.to_owned()),
            ("LINE_API_URL", self.line.url()),
            ("LINE_CHANNEL_SECRET_PARAMETER", secret.to_owned()),
            ("LINE_CHANNEL_TOKEN_PARAMETER", token.to_owned()),
        ]
    }
}

/// Puts a secret into moto's parameter store.
pub async fn put_parameter(moto: &Moto, name: &str, value: &str) -> anyhow::Result<()> {
    let body = json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
    let put = Api::at(moto.url())?;
    let put = put.call(("ssm", "1.1"), "AmazonSSM.PutParameter", &body);
    put.await
        .map(drop)
        .with_context(|| format!("could not put the parameter {name}"))
}
