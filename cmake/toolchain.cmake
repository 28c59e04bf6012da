# Speeds up and instruments the build: ccache and mold when they are there,
# and the sanitizers of NARTHEX_SANITIZE.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(NARTHEX_SANITIZE "" CACHE STRING "Value for -fsanitize=")
if(NARTHEX_SANITIZE)
  add_compile_options(-fsanitize=${NARTHEX_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NARTHEX_SANITIZE})
endif()

option(NARTHEX_FUZZ "Build the fuzz targets for libFuzzer (Clang only)" OFF)
if(NARTHEX_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(THREADS_PREFER_PTHREAD_FLAG ON)
