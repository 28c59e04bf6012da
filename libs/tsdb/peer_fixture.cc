#include "libs/tsdb/peer_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"

namespace narthex::tsdb {
namespace {

/// A port that was free a moment ago.
std::uint16_t FreePort() {
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(socket.get(), plain, size) == 0);
  REQUIRE(::getsockname(socket.get(), plain, &size) == 0);
  return ntohs(address.sin_port);
}

int StartProcess(const std::vector<std::string>& arguments,
                 const std::string& log_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child > 0) return child;
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT, 0644);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

std::string PeerProgram(const std::string& name) {
  for (const char* directory : {"/opt/peers/root/usr/bin/", "/usr/bin/"}) {
    if (base::Exists(directory + name)) return directory + name;
  }
  WARN(name << " is not installed");
  return "";
}

std::string RunCommand(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  std::size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) {
    output.append(buffer.data(), size);
  }
  INFO(command << "\n" << output);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

RunningPrometheus::RunningPrometheus(const std::string& program,
                                     const std::string& directory,
                                     const std::vector<std::string>& more_flags)
    : log_path_(directory + ".log"), port_(FreePort()) {
  const std::string config = directory + ".yml";
  REQUIRE(base::WriteFileAtomically(config, "global: {}\n").ok());
  std::vector<std::string> arguments = {
      program,
      "--config.file=" + config,
      "--storage.tsdb.path=" + directory,
      "--storage.tsdb.retention.time=100y",
      "--web.enable-admin-api",
      absl::StrCat("--web.listen-address=127.0.0.1:", port_)};
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  process_ = StartProcess(arguments, log_path_);
  for (int i = 0; i < 300; ++i) {
    const std::string ready =
        absl::StrCat("curl -sf ", Url("/-/ready"), " >/dev/null 2>&1");
    if (::system(ready.c_str()) == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  FAIL("Prometheus does not get ready: " << Log());
}

RunningPrometheus::~RunningPrometheus() {
  if (process_ == 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void RunningPrometheus::Stop() {
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

std::string RunningPrometheus::Url(const std::string& path) const {
  return absl::StrCat("'http://127.0.0.1:", port_, path, "'");
}

std::string RunningPrometheus::Get(const std::string& path) const {
  return RunCommand(absl::StrCat("curl -s ", Url(path)));
}

std::string RunningPrometheus::Post(const std::string& path) const {
  return RunCommand(absl::StrCat("curl -s -X POST ", Url(path)));
}

std::string RunningPrometheus::Log() const {
  const auto log = base::ReadFile(log_path_);
  return log.ok() ? *log : "";
}

}  // namespace narthex::tsdb
