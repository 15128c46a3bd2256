//! The networks that tests run under.

/// Makes two tests of each function, which takes a profile: `loopback::name` and `region::name`.
macro_rules! under_networks {
    ($($name:ident),+ $(,)?) => {
        under_networks!(@ loopback Loopback $($name)+);
        under_networks!(@ region Region $($name)+);
    };
    (@ $module:ident $profile:ident $($name:ident)+) => {
        mod $module {
            $(#[tokio::test]
            async fn $name() {
                super::$name(local_network::Profile::$profile).await;
            })+
        }
    };
}
