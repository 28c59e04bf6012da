# The functions with which all libraries, services and tests are declared.

set(NARTHEX_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND NARTHEX_WARNINGS -Wthread-safety -Wno-sign-conversion)
else()
  # GCC 12 sees overlaps in assignments of string literals at -O2.
  list(APPEND NARTHEX_WARNINGS -Wno-sign-conversion -Wno-restrict)
endif()

function(_narthex_target target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${NARTHEX_WARNINGS})
endfunction()

# narthex_library(base SRCS a.cc DEPS model absl::status PRIVATE_DEPS x)
# declares the library narthex_base. DEPS that name one of our libraries are
# written without the prefix.
function(_narthex_link target scope)
  foreach(dep ${ARGN})
    if(dep MATCHES "^[a-z_]+$")
      target_link_libraries(${target} ${scope} narthex_${dep})
    else()
      target_link_libraries(${target} ${scope} ${dep})
    endif()
  endforeach()
endfunction()

function(narthex_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(narthex_${name} STATIC ${ARG_SRCS})
  _narthex_target(narthex_${name})
  _narthex_link(narthex_${name} PUBLIC ${ARG_DEPS})
  _narthex_link(narthex_${name} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# narthex_test(base SRCS a_test.cc DEPS base [LABEL conformance]) declares the
# Catch2 program base_test and its CTest entry.
function(narthex_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  add_executable(${name}_test ${ARG_SRCS})
  _narthex_target(${name}_test)
  _narthex_link(${name}_test PRIVATE ${ARG_DEPS} Catch2::Catch2WithMain)
  add_test(NAME ${name}_test COMMAND ${name}_test)
  set_tests_properties(${name}_test PROPERTIES LABELS ${ARG_LABEL}
                       TIMEOUT 300)
endfunction()

# narthex_service(ingester) makes the library narthex_ingester a part of the
# program narthex, and narthex-ingester a name of that program.
function(narthex_service name)
  _narthex_link(narthex PRIVATE ${name})
  add_custom_command(TARGET narthex POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E create_symlink narthex narthex-${name}
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  add_custom_target(narthex-${name} DEPENDS narthex)
endfunction()

# narthex_proto(push SRCS narthex/v1/push.proto DEPS types [GRPC]) declares
# narthex_proto_push: generated code as SYSTEM includes, warnings off.
function(narthex_proto name)
  cmake_parse_arguments(ARG "GRPC" "" "SRCS;DEPS" ${ARGN})
  set(out ${PROJECT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  set(generated)
  foreach(src ${ARG_SRCS})
    string(REGEX REPLACE "\\.proto$" "" stem ${src})
    set(files ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(args --cpp_out=${out})
    if(ARG_GRPC)
      list(APPEND files ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      list(APPEND args --grpc_out=${out}
           --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(
      OUTPUT ${files}
      COMMAND protobuf::protoc -I ${PROJECT_SOURCE_DIR}/proto ${args}
              ${PROJECT_SOURCE_DIR}/proto/${src}
      DEPENDS ${PROJECT_SOURCE_DIR}/proto/${src}
      VERBATIM)
    list(APPEND generated ${files})
  endforeach()
  add_library(narthex_proto_${name} STATIC ${generated})
  target_include_directories(narthex_proto_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(narthex_proto_${name} PUBLIC protobuf::libprotobuf)
  if(ARG_GRPC)
    target_link_libraries(narthex_proto_${name} PUBLIC gRPC::grpc++)
  endif()
  foreach(dep ${ARG_DEPS})
    target_link_libraries(narthex_proto_${name} PUBLIC narthex_proto_${dep})
  endforeach()
endfunction()
