#include "libs/discovery/eureka.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kApps[] = R"(<?xml version="1.0"?>
<applications>
  <versions__delta>1</versions__delta>
  <application>
    <name>CONFIG</name>
    <instance>
      <instanceId>a.example.org:config:1</instanceId>
      <hostName>a.example.org</hostName>
      <ipAddr>10.0.0.1</ipAddr>
      <status>UP</status>
      <port enabled="true">8080</port>
      <securePort enabled="false">443</securePort>
      <countryId>1</countryId>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$Default">
        <name>MyOwn</name>
        <metadata><zone>z</zone></metadata>
      </dataCenterInfo>
      <metadata><management.port>8081</management.port>
        <q>a&amp;b<i>c</i></q></metadata>
      <homePageUrl>http://a.example.org/?x=1&amp;y=2</homePageUrl>
      <statusPageUrl>http://a.example.org/info</statusPageUrl>
      <healthCheckUrl>http://a.example.org/health</healthCheckUrl>
      <vipAddress>config</vipAddress>
      <secureVipAddress>sconfig</secureVipAddress>
    </instance>
    <instance><hostName>b</hostName></instance>
  </application>
  <application><name>EMPTY</name></application>
</applications>)";

TEST_CASE("eureka's instances are found with all they tell") {
  ProviderServer server;
  server.Answer("/eureka/apps", kApps, 200, "application/xml");
  const auto run = RunProvider(ParseConfig<EurekaConfig>(
      "{server: '" + server.Url("/eureka") + "', refresh_interval: 10ms}"));
  const ProviderRun::Targets wanted = {
      R"(__address__="a.example.org:8080" )"
      R"(__meta_eureka_app_instance_country_id="1" )"
      R"(__meta_eureka_app_instance_datacenterinfo_metadata_zone="z" )"
      R"(__meta_eureka_app_instance_datacenterinfo_name="MyOwn" )"
      R"(__meta_eureka_app_instance_healthcheck_url="http://a.example.org/health" )"
      R"(__meta_eureka_app_instance_homepage_url="http://a.example.org/?x=1&y=2" )"
      R"(__meta_eureka_app_instance_hostname="a.example.org" )"
      R"(__meta_eureka_app_instance_id="a.example.org:config:1" )"
      R"(__meta_eureka_app_instance_ip_addr="10.0.0.1" )"
      R"(__meta_eureka_app_instance_metadata_management_port="8081" )"
      R"(__meta_eureka_app_instance_metadata_q="a&amp;b<i>c</i>" )"
      R"(__meta_eureka_app_instance_port="8080" )"
      R"(__meta_eureka_app_instance_port_enabled="true" )"
      R"(__meta_eureka_app_instance_secure_port="443" )"
      R"(__meta_eureka_app_instance_secure_port_enabled="false" )"
      R"(__meta_eureka_app_instance_secure_vip_address="sconfig" )"
      R"(__meta_eureka_app_instance_status="UP" )"
      R"(__meta_eureka_app_instance_statuspage_url="http://a.example.org/info" )"
      R"(__meta_eureka_app_instance_vip_address="config" )"
      R"(__meta_eureka_app_name="CONFIG" instance="a.example.org:config:1")",
      Printed("b:80", "__meta_eureka_",
              {{"app_name", "CONFIG"},
               {"app_instance_hostname", "b"},
               {"app_instance_country_id", "0"}})};
  CHECK(run->WaitFor(wanted));
  server.Answer("/eureka/apps", "<applications>", 200, "application/xml");
  CHECK(run->WaitForFailure("eureka"));
  CHECK(run->WaitFor(wanted));
  server.Answer("/eureka/apps", "<applications/>", 200, "application/xml");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("what is not eureka's list of applications is refused") {
  for (const char* xml :
       {"", "{}", "<apps/>", "<applications><application>",
        "<applications><application><instance><port>x</port></instance>"
        "</application></applications>"}) {
    INFO(xml);
    CHECK_FALSE(ParseEurekaApps(xml).ok());
  }
}

TEST_CASE("eureka configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<EurekaConfig>("server: 'http://h/e'")) ==
        "server: http://h/e\nfollow_redirects: true\nenable_http2: true\n"
        "refresh_interval: 30s\n");
  CHECK_THAT(ConfigError<EurekaConfig>("{}"),
             Catch::EndsWith("eureka_sd: empty or null eureka server"));
  CHECK_THAT(ConfigError<EurekaConfig>("server: host"),
             Catch::EndsWith("eureka_sd: invalid eureka server URL"));
}

}  // namespace
}  // namespace narthex::discovery
