#pragma once

#include <pugixml.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

/// XML-RPC (http://xmlrpc.com/spec.md): only for .cc files, pugixml is heavy.
namespace narthex::discovery {

/// Values as they stand in a call.
std::string XmlRpcText(absl::string_view text);
std::string XmlRpcInteger(std::int64_t value);
std::string XmlRpcIntegers(const std::vector<std::int64_t>& values);

std::string XmlRpcCall(absl::string_view method,
                       const std::vector<std::string>& values);
/// The value that a call returned; `xml` keeps it. kUnavailable for a fault.
absl::StatusOr<pugi::xml_node> XmlRpcResult(const std::string& body,
                                            pugi::xml_document* xml);

/// The <value>s of an array; none for any other value.
std::vector<pugi::xml_node> XmlRpcItems(const pugi::xml_node& value);
/// The member of a struct; a null node when there is none.
pugi::xml_node XmlRpcMember(const pugi::xml_node& value, const char* name);
/// A text, a number or a boolean as it stands there.
std::string XmlRpcScalar(const pugi::xml_node& value);

}  // namespace narthex::discovery
