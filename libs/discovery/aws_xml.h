#pragma once

#include <pugixml.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/discovery/meta_labels.h"

/// What RDS and ElastiCache answer: only for .cc files, pugixml is heavy.
namespace narthex::discovery {

/// Reads the answer of `action`; its result goes to `*result`, which lives as
/// long as `xml`.
absl::Status ReadAwsAnswer(const std::string& body, const std::string& action,
                           pugi::xml_document* xml, pugi::xml_node* result);

/// Adds a label for each element of `node` that `table` names: elements, or
/// paths of them ("Endpoint/Port"), separated by spaces, each as
/// <prefix><element in snake case> unless the table says "Element=name".
/// Times lose their fractions.
void AddAwsElements(const pugi::xml_node& node, absl::string_view table,
                    absl::string_view prefix, MetaLabels* labels);
/// Adds <prefix><Key> for each <Tag>.
void AddAwsTags(const pugi::xml_node& tags, absl::string_view prefix,
                MetaLabels* labels);

}  // namespace narthex::discovery
