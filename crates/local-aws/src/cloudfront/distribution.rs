//! A distribution: where its objects come from, and which edges serve it.
//!
//! Of its hundred settings only those can be set that matter here; the others are as the console makes them.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::xml::{NAMESPACE, PROLOGUE, escape, quantity};
use crate::edge::EdgeCache;

/// The managed policy `CachingOptimized`: neither queries, nor headers, nor cookies tell objects apart.
const CACHE_POLICY: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// A distribution in front of a bucket.
#[derive(Clone, Debug)]
pub struct Distribution {
    pub(super) id: String,
    pub(super) tags_header: Option<String>,
    pub(super) edges: Vec<EdgeCache>,
    aliases: Vec<String>,
    domain_name: String,
    origin: String,
    origin_path: String,
    staging: bool,
    modified: Timestamp,
}

impl Distribution {
    /// In front of `bucket` in us-east-1, with an id such as `E2BX1E7RR7IV8R`, without aliases, tags and edges.
    #[must_use]
    pub fn new(id: &str, bucket: &str) -> Self {
        Self {
            id: id.to_owned(),
            tags_header: None,
            edges: Vec::new(),
            aliases: Vec::new(),
            domain_name: format!("d{}.cloudfront.net", id.to_ascii_lowercase()),
            origin: format!("{bucket}.s3.us-east-1.amazonaws.com"),
            origin_path: String::new(),
            staging: false,
            modified: Timestamp::now(),
        }
    }

    /// Gives it another name, such as `releases.watchy.cloud`.
    #[must_use]
    pub fn alias(mut self, name: &str) -> Self {
        self.aliases.push(name.to_owned());
        self
    }

    /// Has its own name be this one, instead of one that is made of its id.
    #[must_use]
    pub fn domain_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.domain_name);
        self
    }

    /// Has its origin be of this domain name, such as that of a bucket elsewhere.
    #[must_use]
    pub fn origin(mut self, domain_name: &str) -> Self {
        domain_name.clone_into(&mut self.origin);
        self
    }

    /// Has it serve what lies below a folder of the bucket, such as `/production`.
    #[must_use]
    pub fn origin_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.origin_path);
        self
    }

    /// Has it be the staging distribution of another.
    #[must_use]
    pub fn staging(mut self) -> Self {
        self.staging = true;
        self
    }

    /// Has objects be tagged by this header of the origin: for a bucket `x-amz-meta-cache-tag`.
    #[must_use]
    pub fn tags(mut self, header: &str) -> Self {
        self.tags_header = Some(header.to_owned());
        self
    }

    /// Adds an edge that serves it.
    #[must_use]
    pub fn edge(mut self, edge: EdgeCache) -> Self {
        self.edges.push(edge);
        self
    }

    /// The version of its settings, as `ETag` has it.
    pub(super) fn etag(&self) -> String {
        format!("E{}", self.modified.as_millisecond())
    }

    /// What `ListDistributions` says of it.
    pub(super) fn summary(&self) -> String {
        let mut xml = String::from("<DistributionSummary>");
        self.write_identity(&mut xml);
        let _ = write!(
            xml,
            "<ETag>{}</ETag><DomainName>{}</DomainName>",
            self.etag(),
            escape(&self.domain_name)
        );
        self.write_settings(&mut xml);
        xml.push_str("</DistributionSummary>");
        xml
    }

    /// What `GetDistribution` says of it, while this many invalidations are in progress.
    pub(super) fn whole(&self, in_progress: usize) -> String {
        let mut xml = format!("{PROLOGUE}<Distribution xmlns=\"{NAMESPACE}\">");
        self.write_identity(&mut xml);
        let _ = write!(
            xml,
            "<InProgressInvalidationBatches>{in_progress}</InProgressInvalidationBatches><DomainName>{}</DomainName>\
             <ActiveTrustedSigners><Enabled>false</Enabled><Quantity>0</Quantity></ActiveTrustedSigners>\
             <ActiveTrustedKeyGroups><Enabled>false</Enabled><Quantity>0</Quantity></ActiveTrustedKeyGroups>\
             <DistributionConfig><CallerReference>{}</CallerReference><DefaultRootObject></DefaultRootObject>\
             <Logging><Enabled>false</Enabled><IncludeCookies>false</IncludeCookies><Bucket></Bucket><Prefix></Prefix></Logging>\
             <ContinuousDeploymentPolicyId></ContinuousDeploymentPolicyId>",
            escape(&self.domain_name),
            escape(&self.id),
        );
        self.write_settings(&mut xml);
        if let Some(header) = &self.tags_header {
            let _ = write!(
                xml,
                "<CacheTagConfig><HeaderName>{}</HeaderName></CacheTagConfig>",
                escape(header)
            );
        }
        xml.push_str("</DistributionConfig></Distribution>");
        xml
    }

    fn write_identity(&self, xml: &mut String) {
        let id = escape(&self.id);
        let _ = write!(
            xml,
            "<Id>{id}</Id><ARN>arn:aws:cloudfront::123456789012:distribution/{id}</ARN><Status>Deployed</Status>\
             <LastModifiedTime>{:.3}</LastModifiedTime>",
            self.modified
        );
    }

    /// What summary and configuration have in common.
    fn write_settings(&self, xml: &mut String) {
        let aliases = quantity(self.aliases.iter().map(String::as_str), "CNAME");
        let origin = escape(&self.origin);
        let _ = write!(
            xml,
            "<Aliases>{aliases}</Aliases>\
             <Origins><Quantity>1</Quantity><Items><Origin><Id>{origin}</Id><DomainName>{origin}</DomainName>\
             <OriginPath>{}</OriginPath><CustomHeaders><Quantity>0</Quantity></CustomHeaders>\
             <S3OriginConfig><OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig>\
             <ConnectionAttempts>3</ConnectionAttempts><ConnectionTimeout>10</ConnectionTimeout>\
             <OriginShield><Enabled>false</Enabled></OriginShield>\
             <OriginAccessControlId>E327GJI25M56DG</OriginAccessControlId></Origin></Items></Origins>\
             <OriginGroups><Quantity>0</Quantity></OriginGroups>",
            escape(&self.origin_path)
        );
        write_behaviour(xml, &origin);
        let _ = write!(
            xml,
            "<CacheBehaviors><Quantity>0</Quantity></CacheBehaviors>\
             <CustomErrorResponses><Quantity>0</Quantity></CustomErrorResponses><Comment></Comment>\
             <PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>\
             <ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate>\
             <SSLSupportMethod>vip</SSLSupportMethod><MinimumProtocolVersion>TLSv1</MinimumProtocolVersion>\
             <CertificateSource>cloudfront</CertificateSource></ViewerCertificate>\
             <Restrictions><GeoRestriction><RestrictionType>none</RestrictionType><Quantity>0</Quantity></GeoRestriction></Restrictions>\
             <WebACLId></WebACLId><HttpVersion>http2</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled><Staging>{}</Staging>",
            self.staging
        );
    }
}

fn write_behaviour(xml: &mut String, origin: &str) {
    let methods = quantity(["HEAD", "GET"].into_iter(), "Method");
    let _ = write!(
        xml,
        "<DefaultCacheBehavior><TargetOriginId>{origin}</TargetOriginId>\
         <TrustedSigners><Enabled>false</Enabled><Quantity>0</Quantity></TrustedSigners>\
         <TrustedKeyGroups><Enabled>false</Enabled><Quantity>0</Quantity></TrustedKeyGroups>\
         <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>\
         <AllowedMethods>{methods}<CachedMethods>{methods}</CachedMethods></AllowedMethods>\
         <SmoothStreaming>false</SmoothStreaming><Compress>true</Compress>\
         <LambdaFunctionAssociations><Quantity>0</Quantity></LambdaFunctionAssociations>\
         <FunctionAssociations><Quantity>0</Quantity></FunctionAssociations>\
         <FieldLevelEncryptionId></FieldLevelEncryptionId><CachePolicyId>{CACHE_POLICY}</CachePolicyId></DefaultCacheBehavior>"
    );
}
