#include "libs/discovery/xml_rpc.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace narthex::discovery {

std::string XmlRpcText(absl::string_view text) {
  return absl::StrCat(
      "<value><string>",
      absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}}),
      "</string></value>");
}

std::string XmlRpcInteger(std::int64_t value) {
  return absl::StrCat("<value><int>", value, "</int></value>");
}

std::string XmlRpcIntegers(const std::vector<std::int64_t>& values) {
  std::string out = "<value><array><data>";
  for (const std::int64_t value : values) out += XmlRpcInteger(value);
  return out + "</data></array></value>";
}

std::string XmlRpcCall(absl::string_view method,
                       const std::vector<std::string>& values) {
  std::string out = absl::StrCat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>",
      method, "</methodName><params>");
  for (const std::string& value : values) {
    absl::StrAppend(&out, "<param>", value, "</param>");
  }
  return out + "</params></methodCall>";
}

absl::StatusOr<pugi::xml_node> XmlRpcResult(const std::string& body,
                                            pugi::xml_document* xml) {
  if (!xml->load_buffer(body.data(), body.size())) {
    return absl::UnavailableError("the answer is no XML");
  }
  const pugi::xml_node response = xml->child("methodResponse");
  if (const pugi::xml_node fault = response.child("fault").child("value")) {
    return absl::UnavailableError(absl::StrCat(
        "error: \"", XmlRpcScalar(XmlRpcMember(fault, "faultString")),
        "\" code: ", XmlRpcScalar(XmlRpcMember(fault, "faultCode"))));
  }
  const pugi::xml_node value =
      response.child("params").child("param").child("value");
  if (!value) return absl::UnavailableError("the answer has no value");
  return value;
}

std::vector<pugi::xml_node> XmlRpcItems(const pugi::xml_node& value) {
  const auto items = value.child("array").child("data").children("value");
  return {items.begin(), items.end()};
}

pugi::xml_node XmlRpcMember(const pugi::xml_node& value, const char* name) {
  for (const pugi::xml_node& member :
       value.child("struct").children("member")) {
    if (absl::string_view(member.child("name").text().get()) == name) {
      return member.child("value");
    }
  }
  return {};
}

std::string XmlRpcScalar(const pugi::xml_node& value) {
  const pugi::xml_node first = value.first_child();
  // A value without a type is a text.
  return first.type() == pugi::node_element ? first.text().get()
                                            : value.text().get();
}

}  // namespace narthex::discovery
