# Everything from outside, found once. Protobuf has no config file in Debian 12,
# and neither has RE2, which gRPC's asks for.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Catch2 2 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
add_library(re2::re2 INTERFACE IMPORTED)
target_link_libraries(re2::re2 INTERFACE PkgConfig::re2)
find_package(gRPC CONFIG REQUIRED)
pkg_check_modules(snappy REQUIRED IMPORTED_TARGET snappy)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(rocksdb REQUIRED IMPORTED_TARGET rocksdb)
pkg_check_modules(cares REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(pugixml REQUIRED IMPORTED_TARGET pugixml)

# A service starts in half the time and needs a third less memory when the
# libraries that it is mostly made of are in the program: nothing is bound by
# name at start, what is not used is left out, and the services of a machine
# share the rest. libcurl brings OpenSSL and zstd as shared objects; these stay
# so, for there must be only one copy of each.
option(NARTHEX_STATIC_DEPENDENCIES
       "Link gRPC, protobuf, Abseil, RocksDB and other libraries statically" OFF)

# Makes an imported library its archive, which lies beside the shared object.
function(_narthex_use_archive target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  foreach(property IMPORTED_LOCATION IMPORTED_LOCATION_NONE
                   IMPORTED_LOCATION_RELEASE)
    get_target_property(shared ${target} ${property})
    if(NOT shared)
      continue()
    endif()
    string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive ${shared})
    if(EXISTS ${archive})
      set_target_properties(${target} PROPERTIES ${property} ${archive})
    endif()
  endforeach()
endfunction()

# The same for one found by pkg-config, with the libraries that it needs.
function(_narthex_use_pkg_archive name)
  get_target_property(libraries PkgConfig::${name} INTERFACE_LINK_LIBRARIES)
  list(TRANSFORM libraries REPLACE "\\.so$" ".a")
  set_target_properties(PkgConfig::${name} PROPERTIES
                        INTERFACE_LINK_LIBRARIES "${libraries};${ARGN}")
endfunction()

if(NARTHEX_STATIC_DEPENDENCIES)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  list(FILTER imported INCLUDE REGEX "^(absl|gRPC)::|^protobuf::lib|^yaml-cpp$")
  foreach(target ${imported})
    _narthex_use_archive(${target})
  endforeach()
  _narthex_use_pkg_archive(re2)
  _narthex_use_pkg_archive(snappy)
  _narthex_use_pkg_archive(pugixml)
  _narthex_use_pkg_archive(rocksdb PkgConfig::snappy PkgConfig::zstd
                           ZLIB::ZLIB bz2 lz4)
  add_link_options(-Wl,--gc-sections)
endif()
