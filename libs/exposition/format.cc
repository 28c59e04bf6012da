#include "libs/exposition/format.h"

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"

namespace narthex::exposition {
namespace {

struct Description {
  Protocol protocol;
  const char* name;
  const char* media_type;
  const char* short_type;  // As it appears in complaints.
  Format format;
  bool any_name;  // Knows names beyond the legacy set.
};

constexpr Description kDescriptions[] = {
    {Protocol::kPrometheusProto, "PrometheusProto",
     "application/vnd.google.protobuf;"
     "proto=io.prometheus.client.MetricFamily;encoding=delimited",
     "application/vnd.google.protobuf", Format::kProtobuf, false},
    {Protocol::kPrometheusText004, "PrometheusText0.0.4",
     "text/plain;version=0.0.4", "text/plain", Format::kText, false},
    {Protocol::kPrometheusText100, "PrometheusText1.0.0",
     "text/plain;version=1.0.0", "text/plain", Format::kText, true},
    {Protocol::kOpenMetricsText001, "OpenMetricsText0.0.1",
     "application/openmetrics-text;version=0.0.1",
     "application/openmetrics-text", Format::kOpenMetrics, false},
    {Protocol::kOpenMetricsText100, "OpenMetricsText1.0.0",
     "application/openmetrics-text;version=1.0.0",
     "application/openmetrics-text", Format::kOpenMetrics, true},
};

const Description& Describe(Protocol protocol) {
  return kDescriptions[static_cast<std::size_t>(protocol)];
}

bool IsTokenCharacter(char c) {
  return absl::ascii_isgraph(static_cast<unsigned char>(c)) &&
         !absl::StrContains("()<>@,;:\\\"/[]?=", absl::string_view(&c, 1));
}

/// Takes the token at the front of `*text`; empty when there is none.
absl::string_view TakeToken(absl::string_view* text) {
  std::size_t n = 0;
  while (n < text->size() && IsTokenCharacter((*text)[n])) ++n;
  const absl::string_view token = text->substr(0, n);
  text->remove_prefix(n);
  return token;
}

bool TakeParameterValue(absl::string_view* text) {
  if (!absl::ConsumePrefix(text, "\"")) return !TakeToken(text).empty();
  for (std::size_t i = 0; i < text->size(); ++i) {
    if ((*text)[i] == '\\') {
      ++i;
    } else if ((*text)[i] == '"') {
      text->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

/// Checks the parameters of a media type; returns what is wrong, or nothing.
std::string CheckParameters(absl::string_view rest) {
  std::set<std::string> names;
  while (!rest.empty()) {
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (!absl::ConsumePrefix(&rest, ";")) {
      return "mime: invalid media parameter";
    }
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (rest.empty()) break;  // A trailing semicolon is harmless.
    const std::string name = absl::AsciiStrToLower(TakeToken(&rest));
    if (name.empty() || !absl::ConsumePrefix(&rest, "=") ||
        !TakeParameterValue(&rest)) {
      return "mime: invalid media parameter";
    }
    if (!names.insert(name).second) return "mime: duplicate parameter name";
    rest = absl::StripLeadingAsciiWhitespace(rest);
  }
  return "";
}

/// Splits a Content-Type; returns what is wrong with it, or nothing.
std::string ParseMediaType(absl::string_view text, std::string* media_type) {
  const std::size_t semicolon = text.find(';');
  const absl::string_view whole =
      absl::StripAsciiWhitespace(text.substr(0, semicolon));
  absl::string_view rest = whole;
  const absl::string_view type = TakeToken(&rest);
  if (type.empty()) return "mime: no media type";
  if (!rest.empty()) {
    if (!absl::ConsumePrefix(&rest, "/")) {
      return "mime: expected slash after first token";
    }
    if (TakeToken(&rest).empty()) return "mime: expected token after slash";
    if (!rest.empty()) return "mime: unexpected content after media subtype";
  }
  *media_type = absl::AsciiStrToLower(whole);
  if (semicolon == absl::string_view::npos) return "";
  return CheckParameters(text.substr(semicolon));
}

std::optional<Format> FormatOfMediaType(absl::string_view media_type) {
  for (const Description& d : kDescriptions) {
    if (media_type == d.short_type) return d.format;
  }
  return std::nullopt;
}

}  // namespace

absl::string_view ProtocolName(Protocol protocol) {
  return Describe(protocol).name;
}

std::optional<Protocol> ParseProtocol(absl::string_view name) {
  for (const Description& d : kDescriptions) {
    if (name == d.name) return d.protocol;
  }
  return std::nullopt;
}

Format FormatOf(Protocol protocol) { return Describe(protocol).format; }

std::vector<std::string> ProtocolNames() {
  std::vector<std::string> names;
  for (const Description& d : kDescriptions) names.emplace_back(d.name);
  return names;
}

std::string AcceptHeader(const std::vector<Protocol>& protocols,
                         absl::string_view escaping) {
  std::string out;
  // One decimal is enough: there are five protocols.
  int tenths = 6;
  for (const Protocol protocol : protocols) {
    const Description& d = Describe(protocol);
    absl::StrAppend(&out, d.media_type);
    if (d.any_name) absl::StrAppend(&out, ";escaping=", escaping);
    absl::StrAppend(&out, ";q=0.", tenths--, ",");
  }
  absl::StrAppend(&out, "*/*;q=0.", tenths);
  return out;
}

FormatChoice ChooseFormat(absl::string_view content_type,
                          std::optional<Protocol> fallback) {
  FormatChoice choice;
  if (content_type.empty()) {
    choice.complaint = "non-compliant scrape target sending blank Content-Type";
  } else {
    std::string media_type;
    const std::string problem = ParseMediaType(content_type, &media_type);
    if (problem.empty()) {
      choice.format = FormatOfMediaType(media_type);
      if (choice.format.has_value()) return choice;
      choice.complaint = absl::StrCat("received unsupported Content-Type ",
                                      base::Quote(content_type));
    } else {
      choice.complaint =
          absl::StrCat("cannot parse Content-Type ", base::Quote(content_type),
                       " (", problem, ")");
    }
  }
  if (!fallback.has_value()) {
    absl::StrAppend(&choice.complaint,
                    " and no fallback_scrape_protocol specified for target");
    return choice;
  }
  choice.format = FormatOf(*fallback);
  absl::StrAppend(&choice.complaint, ", using fallback_scrape_protocol ",
                  base::Quote(Describe(*fallback).short_type));
  return choice;
}

}  // namespace narthex::exposition
