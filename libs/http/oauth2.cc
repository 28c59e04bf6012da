#include "libs/http/oauth2.h"

#include <openssl/rand.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/http/rsa_signature.h"

namespace narthex::http {
namespace {

constexpr std::int64_t kTimeoutMs = 30'000;
constexpr std::int64_t kMaxBodyBytes = 1 << 20;
constexpr std::int64_t kAssertionSeconds = 600;

/// The fields of a form by name.
using Form = std::map<std::string, std::string>;

absl::Status AddEndpointParams(const OAuth2& config, Form* form) {
  for (const auto& [name, value] : config.endpoint_params) {
    // Another grant, such as "password", may be asked for.
    if (form->contains(name) && name != "grant_type") {
      return absl::InvalidArgumentError(absl::StrCat(
          "oauth2: cannot overwrite parameter ", base::Quote(name)));
    }
    (*form)[name] = value;
  }
  return absl::OkStatus();
}

std::string Encode(const Form& form) {
  return absl::StrJoin(form, "&", [](std::string* out, const auto& field) {
    absl::StrAppend(out, base::EscapeUrlQuery(field.first), "=",
                    base::EscapeUrlQuery(field.second));
  });
}

/// Base64 for URLs without padding, as in a JWT.
std::string Segment(absl::string_view bytes) {
  std::string out;
  absl::WebSafeBase64Escape(bytes, &out);
  return out;
}

std::string RandomId() {
  std::array<unsigned char, 16> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

RsaDigest Digest(const std::string& algorithm) {
  if (algorithm == "RS384") return RsaDigest::kSha384;
  if (algorithm == "RS512") return RsaDigest::kSha512;
  return RsaDigest::kSha256;
}

absl::StatusOr<std::string> Assertion(const OAuth2& config,
                                      const std::string& key_pem,
                                      std::int64_t now_seconds) {
  const std::string algorithm =
      config.signature_algorithm.empty() ? "RS256" : config.signature_algorithm;
  nlohmann::json header = {{"alg", algorithm}, {"typ", "JWT"}};
  if (!config.client_certificate_key_id.empty()) {
    header["kid"] = config.client_certificate_key_id;
  }
  nlohmann::json claims = {
      {"iss", config.iss.empty() ? config.client_id : config.iss},
      {"sub", config.client_id},
      {"jti", RandomId()},
      {"aud", config.audience.empty() ? config.token_url : config.audience},
      {"iat", now_seconds},
      {"exp", now_seconds + kAssertionSeconds}};
  if (!config.scopes.empty()) {
    claims["scope"] = absl::StrJoin(config.scopes, " ");
  }
  for (const auto& [name, json] : config.claims) {
    claims[name] = nlohmann::json::parse(json, nullptr,
                                         /*allow_exceptions=*/false);
  }
  using nlohmann::json;
  const auto replace = json::error_handler_t::replace;
  const std::string text =
      absl::StrCat(Segment(header.dump(-1, ' ', false, replace)), ".",
                   Segment(claims.dump(-1, ' ', false, replace)));
  NARTHEX_ASSIGN_OR_RETURN(const std::string signature,
                           SignRsa(text, key_pem, Digest(algorithm)));
  return absl::StrCat(text, ".", Segment(signature));
}

std::string TextOf(const nlohmann::json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

/// The answer's fields, whatever its form. False when it cannot be read.
bool ReadAnswer(const FetchResult& result, const std::string& body,
                Form* fields) {
  const absl::string_view type = result.headers.Get("Content-Type");
  if (absl::StartsWithIgnoreCase(type, "application/x-www-form-urlencoded") ||
      absl::StartsWithIgnoreCase(type, "text/plain")) {
    Params params;
    ParseQuery(body, &params);
    for (const auto& [name, value] : params.items()) {
      fields->emplace(name, value);
    }
    return true;
  }
  const auto json = nlohmann::json::parse(body, nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  for (const char* name : {"access_token", "token_type", "error",
                           "error_description", "error_uri", "expires_in"}) {
    (*fields)[name] = TextOf(json, name);
  }
  // Some send the number as text.
  if (const auto it = json.find("expires_in");
      it != json.end() && it->is_number()) {
    (*fields)["expires_in"] =
        absl::StrCat(static_cast<std::int64_t>(it->get<double>()));
  }
  return true;
}

absl::Status AnswerError(const FetchResult& result, const std::string& body,
                         const Form& fields) {
  const auto field = [&fields](const char* name) {
    const auto it = fields.find(name);
    return it == fields.end() ? std::string() : it->second;
  };
  if (field("error").empty()) {
    return absl::UnavailableError(
        absl::StrCat("oauth2: cannot fetch token: ", result.code, " ",
                     StatusText(result.code), "\nResponse: ", body));
  }
  std::string text = absl::StrCat("oauth2: ", base::Quote(field("error")));
  for (const char* more : {"error_description", "error_uri"}) {
    if (field(more).empty()) continue;
    absl::StrAppend(&text, " ", base::Quote(field(more)));
  }
  return absl::UnavailableError(text);
}

/// The scheme with the spelling that servers expect.
std::string SchemeOf(const std::string& token_type) {
  if (token_type.empty() || absl::EqualsIgnoreCase(token_type, "bearer")) {
    return "Bearer";
  }
  if (absl::EqualsIgnoreCase(token_type, "mac")) return "MAC";
  if (absl::EqualsIgnoreCase(token_type, "basic")) return "Basic";
  return token_type;
}

}  // namespace

absl::StatusOr<FetchRequest> TokenRequest(const OAuth2& config,
                                          const std::string& secret,
                                          ClientAuthStyle style,
                                          std::int64_t now_seconds) {
  FetchRequest request;
  request.url = config.token_url;
  request.method = "POST";
  request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
  request.timeout_ms = kTimeoutMs;
  request.max_body_bytes = kMaxBodyBytes;
  Form form;
  if (!config.scopes.empty()) {
    form["scope"] = absl::StrJoin(config.scopes, " ");
  }
  if (config.grant_type == kJwtBearerGrant) {
    form["grant_type"] = kJwtBearerGrant;
    NARTHEX_ASSIGN_OR_RETURN(form["assertion"],
                             Assertion(config, secret, now_seconds));
  } else {
    form["grant_type"] = "client_credentials";
  }
  NARTHEX_RETURN_IF_ERROR(AddEndpointParams(config, &form));
  if (config.grant_type != kJwtBearerGrant) {
    if (style == ClientAuthStyle::kParams) {
      form["client_id"] = config.client_id;
      if (!secret.empty()) form["client_secret"] = secret;
    } else {
      request.headers.Set(
          "Authorization",
          absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(
                                     base::EscapeUrlQuery(config.client_id),
                                     ":", base::EscapeUrlQuery(secret)))));
    }
  }
  request.body = Encode(form);
  auto client = std::make_shared<ClientConfig>();
  client->tls = config.tls;
  client->proxy = config.proxy;
  request.config = std::move(client);
  return request;
}

absl::StatusOr<Token> ParseToken(const FetchResult& result,
                                 const std::string& body) {
  const bool failed = result.code < 200 || result.code > 299;
  Form fields;
  if (!ReadAnswer(result, body, &fields) && !failed) {
    return absl::UnavailableError("oauth2: cannot parse json");
  }
  if (failed || !fields["error"].empty()) {
    return AnswerError(result, body, fields);
  }
  if (fields["access_token"].empty()) {
    return absl::UnavailableError(
        "oauth2: server response missing access_token");
  }
  Token token;
  token.authorization =
      absl::StrCat(SchemeOf(fields["token_type"]), " ", fields["access_token"]);
  if (!absl::SimpleAtoi(fields["expires_in"], &token.lifetime_seconds) ||
      token.lifetime_seconds < 0) {
    token.lifetime_seconds = 0;
  }
  return token;
}

}  // namespace narthex::http
