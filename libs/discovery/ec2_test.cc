#include "libs/discovery/ec2.h"

#include <cstdlib>

#include "libs/base/file.h"
#include "libs/discovery/aws_credentials.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("requests are signed as AWS's test vectors show") {
  const AwsCredentials credentials{
      "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  constexpr std::int64_t kTime = 1440938160;  // 2015-08-30 12:36:00
  constexpr char kScope[] =
      "AWS4-HMAC-SHA256 "
      "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
  http::FetchRequest request;
  request.url = "https://example.amazonaws.com/";
  request.method = "POST";
  SignForAws(credentials, "us-east-1", "service", kTime, &request);
  CHECK(request.headers.Get("X-Amz-Date") == "20150830T123600Z");
  CHECK(request.headers.Get("Authorization") ==
        absl::StrCat(kScope,
                     "SignedHeaders=host;x-amz-date, "
                     "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37"
                     "dddb68e92efbe5d6b"));
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = "Param1=value1";
  SignForAws(credentials, "us-east-1", "service", kTime, &request);
  CHECK(request.headers.Get("Authorization") ==
        absl::StrCat(kScope,
                     "SignedHeaders=content-type;host;x-amz-date, "
                     "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da"
                     "7b9d196a0fe09473a"));
}

/// Environment variables that a test needs to be just so.
class CleanEnvironment {
 public:
  CleanEnvironment() {
    for (const char* name :
         {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID",
          "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
          "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
          "AWS_CONTAINER_CREDENTIALS_FULL_URI",
          "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"}) {
      unsetenv(name);
    }
    setenv("AWS_CONFIG_FILE", (directory.path() + "/config").c_str(), 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE",
           (directory.path() + "/credentials").c_str(), 1);
  }
  base::TemporaryDirectory directory;
};

constexpr char kZones[] = R"(<DescribeAvailabilityZonesResponse>
  <availabilityZoneInfo>
    <item><zoneName>eu-1a</zoneName><zoneId>euz1</zoneId></item>
  </availabilityZoneInfo></DescribeAvailabilityZonesResponse>)";

constexpr char kFirstPage[] = R"(<DescribeInstancesResponse>
  <reservationSet><item><ownerId>owner</ownerId><instancesSet>
    <item>
      <instanceId>i-1</instanceId><imageId>ami-1</imageId>
      <instanceState><code>16</code><name>running</name></instanceState>
      <privateDnsName>p.dns</privateDnsName><dnsName>d.dns</dnsName>
      <instanceType>t3</instanceType>
      <placement><availabilityZone>eu-1a</availabilityZone></placement>
      <platform>windows</platform><subnetId>sub-1</subnetId>
      <vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>
      <ipAddress>1.2.3.4</ipAddress><architecture>x86_64</architecture>
      <instanceLifecycle>spot</instanceLifecycle>
      <tagSet><item><key>a b</key><value>c</value></item></tagSet>
      <networkInterfaceSet>
        <item><subnetId>sub-1</subnetId>
          <attachment><deviceIndex>0</deviceIndex></attachment>
          <ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address>
            <isPrimaryIpv6>false</isPrimaryIpv6></item></ipv6AddressesSet>
        </item>
        <item><subnetId>sub-2</subnetId>
          <attachment><deviceIndex>1</deviceIndex></attachment>
          <ipv6AddressesSet><item><ipv6Address>2001:db8::2</ipv6Address>
            <isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet>
        </item>
        <item><subnetId>sub-1</subnetId></item>
      </networkInterfaceSet>
    </item>
    <item><instanceId>i-0</instanceId></item>
  </instancesSet></item></reservationSet>
  <nextToken>page 2</nextToken></DescribeInstancesResponse>)";

constexpr char kSecondPage[] = R"(<DescribeInstancesResponse>
  <reservationSet><item><ownerId>owner</ownerId><instancesSet><item>
      <instanceId>i-2</instanceId><imageId>ami-1</imageId>
      <instanceState><name>stopped</name></instanceState>
      <instanceType>t3</instanceType>
      <placement><availabilityZone>eu-1b</availabilityZone></placement>
      <vpcId>vpc-1</vpcId>
      <networkInterfaceSet><item><subnetId>sub-1</subnetId>
        <ipv6AddressesSet><item><ipv6Address>2001:db8::3</ipv6Address>
        </item></ipv6AddressesSet></item></networkInterfaceSet>
  </item></instancesSet></item></reservationSet>
  </DescribeInstancesResponse>)";

const std::vector<std::string>& Wanted() {
  static const std::vector<std::string> wanted = {
      Printed("10.0.0.1:80", "__meta_ec2_",
              {{"instance_id", "i-1"},
               {"region", "eu-1"},
               {"owner_id", "owner"},
               {"ami", "ami-1"},
               {"architecture", "x86_64"},
               {"availability_zone", "eu-1a"},
               {"availability_zone_id", "euz1"},
               {"default_ipv6_address", "2001:db8::2"},
               {"instance_lifecycle", "spot"},
               {"instance_state", "running"},
               {"instance_type", "t3"},
               {"ipv6_addresses", ",2001:db8::1,2001:db8::2,"},
               {"platform", "windows"},
               {"primary_ipv6_addresses", ",,2001:db8::2,"},
               {"primary_subnet_id", "sub-1"},
               {"private_dns_name", "p.dns"},
               {"private_ip", "10.0.0.1"},
               {"public_dns_name", "d.dns"},
               {"public_ip", "1.2.3.4"},
               {"subnet_id", ",sub-1,sub-2,"},
               {"tag_a_b", "c"},
               {"vpc_id", "vpc-1"}}),
      Printed("[2001:db8::3]:80", "__meta_ec2_",
              {{"instance_id", "i-2"},
               {"region", "eu-1"},
               {"owner_id", "owner"},
               {"ami", "ami-1"},
               {"availability_zone", "eu-1b"},
               {"default_ipv6_address", "2001:db8::3"},
               {"instance_state", "stopped"},
               {"instance_type", "t3"},
               {"ipv6_addresses", ",2001:db8::3,"},
               {"subnet_id", ",sub-1,"},
               {"vpc_id", "vpc-1"}})};
  return wanted;
}

/// EC2, STS and the instance metadata service at one address.
class FakeAws {
 public:
  FakeAws() {
    server.Handle(
        "/", [this](const http::Request& request, http::Response& response) {
          Serve(request, response);
        });
    server.Handle("/latest/api/token", [](const http::Request& request,
                                          http::Response& response) {
      const bool good =
          request.method == "PUT" &&
          request.headers.Has("X-aws-ec2-metadata-token-ttl-seconds");
      response.Send(good ? 200 : 400, "text/plain", "imds-token");
    });
    server.Answer("/latest/meta-data/placement/region", "eu-1");
    server.Answer("/latest/meta-data/iam/security-credentials/", "my-role\n");
    server.Answer("/latest/meta-data/iam/security-credentials/my-role",
                  R"({"AccessKeyId": "imds-key", "SecretAccessKey": "s",
                      "Token": "t", "Expiration": "2100-01-01T00:00:00Z"})");
  }

  std::unique_ptr<ProviderRun> Run(const std::string& text) const {
    const auto config =
        ParseConfig<Ec2Config>("{endpoint: '" + server.Url("") +
                               "', refresh_interval: 10ms" + text + "}");
    const std::string url = server.Url("");
    return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
      return MakeEc2Provider(config, context, url, url);
    });
  }
  void Fail(bool failing) {
    base::MutexLock lock(mutex_);
    failing_ = failing;
  }
  /// The access key that signed the last request for `action`.
  std::string KeyOf(const std::string& action) {
    base::MutexLock lock(mutex_);
    return keys_[action];
  }
  http::Params params() {
    base::MutexLock lock(mutex_);
    return params_;
  }

  ProviderServer server;

 private:
  void Serve(const http::Request& request, http::Response& response) {
    const std::string action(request.params.Get("Action"));
    const std::string authorization(request.headers.Get("Authorization"));
    const std::size_t start = authorization.find("Credential=");
    base::MutexLock lock(mutex_);
    keys_[action] = start == std::string::npos
                        ? ""
                        : authorization.substr(
                              start + 11, authorization.find('/') - start - 11);
    if (failing_) {
      response.Send(403, "text/xml",
                    "<Response><Errors><Error><Code>UnauthorizedOperation"
                    "</Code><Message>no</Message></Error></Errors></Response>");
    } else if (action == "DescribeAvailabilityZones") {
      response.Send(200, "text/xml", kZones);
    } else if (action == "DescribeInstances") {
      params_ = request.params;
      const bool first = !request.params.Has("NextToken");
      response.Send(200, "text/xml", first ? kFirstPage : kSecondPage);
    } else {
      const std::string key = action == "AssumeRole" ? "role-key" : "web-key";
      response.Send(200, "text/xml",
                    "<" + action + "Response><" + action +
                        "Result><Credentials><AccessKeyId>" + key +
                        "</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                        "<SessionToken>t</SessionToken><Expiration>"
                        "2100-01-01T00:00:00Z</Expiration></Credentials></" +
                        action + "Result></" + action + "Response>");
    }
  }

  base::Mutex mutex_;
  bool failing_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::string> keys_ ABSL_GUARDED_BY(mutex_);
  http::Params params_ ABSL_GUARDED_BY(mutex_);
};

TEST_CASE("ec2 discovery finds instances in all pages and keeps them") {
  const CleanEnvironment clean;
  FakeAws aws;
  const auto run = aws.Run(
      ", region: eu-1, access_key: k, secret_key: s, filters: [{name: "
      "'tag:a', values: [b, 'c d']}]");
  CHECK(run->WaitFor(Wanted()));
  CHECK(run->sources() == std::set<std::string>{"eu-1"});
  CHECK(aws.KeyOf("DescribeInstances") == "k");
  const http::Params params = aws.params();
  CHECK(params.Get("Filter.1.Name") == "tag:a");
  CHECK(params.Get("Filter.1.Value.2") == "c d");
  aws.Fail(true);
  CHECK(run->WaitForFailure("ec2"));
  CHECK(run->WaitFor(Wanted()));
}

TEST_CASE("ec2 discovery finds region and credentials") {
  const CleanEnvironment clean;
  FakeAws aws;
  std::string text;
  std::string key;
  SECTION("by the instance's metadata") { key = "imds-key"; }
  SECTION("in the environment") {
    setenv("AWS_REGION", "eu-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "env-key", 1);
    key = "env-key";
  }
  SECTION("in a profile") {
    REQUIRE(base::WriteFileAtomically(
                clean.directory.path() + "/credentials",
                "[other]\naws_access_key_id = x\n# note\n[mine]\n"
                "aws_access_key_id = file-key\naws_secret_access_key=s\n")
                .ok());
    REQUIRE(base::WriteFileAtomically(clean.directory.path() + "/config",
                                      "[profile mine]\nregion = eu-1\n")
                .ok());
    text = ", profile: mine";
    key = "file-key";
  }
  SECTION("by taking on a role") {
    text = ", role_arn: 'arn:x', external_id: e";
    key = "role-key";
  }
  SECTION("by a web identity") {
    const std::string file = clean.directory.path() + "/token";
    REQUIRE(base::WriteFileAtomically(file, "jwt").ok());
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file.c_str(), 1);
    setenv("AWS_ROLE_ARN", "arn:y", 1);
    key = "web-key";
  }
  const auto run = aws.Run(text);
  CHECK(run->WaitFor(Wanted()));
  CHECK(aws.KeyOf("DescribeInstances") == key);
  if (key == "role-key") CHECK(aws.KeyOf("AssumeRole") == "imds-key");
}

TEST_CASE("ec2 discovery says what it lacks") {
  const CleanEnvironment clean;
  FakeAws aws;
  aws.server.Answer("/latest/meta-data/placement/region", "", 404);
  const auto run = aws.Run("");
  CHECK(run->WaitForFailure("ec2"));
  const auto no_profile = aws.Run(", region: eu-1, profile: none");
  CHECK(no_profile->WaitForFailure("ec2"));
}

TEST_CASE("ec2 discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<Ec2Config>(
            "{region: r, access_key: a, secret_key: s, filters: [{name: x, "
            "values: [v]}]}")) ==
        "endpoint: \"\"\nregion: r\naccess_key: a\nsecret_key: <secret>\n"
        "refresh_interval: 1m\nport: 80\nfilters:\n- name: x\n  values:\n"
        "  - v\nfollow_redirects: true\nenable_http2: true\n");
  CHECK_THAT(
      ConfigError<Ec2Config>("filters: [{name: n}]"),
      Catch::EndsWith("EC2 SD configuration filter values cannot be empty"));
}

}  // namespace
}  // namespace narthex::discovery
