"""The Kubernetes manifests render and fit the binaries."""

import os
import re
import subprocess

from harness import BIN, ROOT, Skipped, check, check_equal, main, need_peer

KINDS = ["scraper", "ingester", "querier", "ruler", "alertmanager", "pushgateway"]
BASE = os.path.join(ROOT, "deploy/kubernetes")


def rendered():
    try:
        import yaml
    except ImportError:
        raise Skipped("python3-yaml is not installed") from None
    done = subprocess.run([need_peer("kubectl"), "kustomize", BASE], capture_output=True, text=True, timeout=60)
    check_equal(done.returncode, 0, done.stderr)
    return [o for o in yaml.safe_load_all(done.stdout) if o]


def flags_of(kind):
    done = subprocess.run([os.path.join(BIN, f"narthex-{kind}"), "--help"], capture_output=True, text=True, timeout=20)
    return set(re.findall(r"--(?:\[no-\])?([a-z][a-z0-9.-]*)", done.stdout + done.stderr))


def every_service_has_a_workload_a_service_and_a_config_map():
    objects = rendered()
    for kind in KINDS:
        workloads = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet") and o["metadata"]["name"] == kind]
        check_equal(len(workloads), 1, f"workloads of {kind}")
        check_equal(sum(o["kind"] == "Service" and o["metadata"]["name"] == kind for o in objects), 1,
                    f"services of {kind}")
        check_equal(sum(o["kind"] == "ConfigMap" and o["metadata"]["name"].rpartition("-")[0] == kind
                        for o in objects), 1, f"config maps of {kind}")


def every_flag_is_accepted_and_every_port_listened_on():
    objects = rendered()
    maps = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    services = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Service"}
    for workload in (o for o in objects if o["kind"] in ("Deployment", "StatefulSet")):
        name = workload["metadata"]["name"]
        pod = workload["spec"]["template"]["spec"]
        container = pod["containers"][0]
        kind = container["command"][0].replace("narthex-", "")
        accepted = flags_of(kind)
        check(len(accepted) > 5, f"no flags in the help of {kind}")
        listened = set()
        for argument in container["args"]:
            flag, _, value = argument[2:].partition("=")
            check(flag in accepted, f"{name}: narthex-{kind} has no flag --{flag}")
            if flag.endswith("listen-address"):
                listened.add(int(value.rpartition(":")[2]))
            for variable in re.findall(r"\$\((\w+)\)", value):
                known = {e["name"] for e in container.get("env", [])}
                for source in container.get("envFrom", []):
                    known |= set(maps[source["configMapRef"]["name"]])
                check(variable in known, f"{name}: $({variable}) is not defined")
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        check_equal(set(ports.values()), listened, f"ports of {name}")
        for port in services[name]["spec"]["ports"]:
            check_equal(ports.get(port["targetPort"]), port["port"], f"port {port['name']} of service {name}")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            check(container[probe]["httpGet"]["port"] in ports, f"{probe} of {name}")
        check(pod["securityContext"]["runAsNonRoot"], f"{name} may run as root")
        check(container["securityContext"]["readOnlyRootFilesystem"], f"{name} may write to its root")
        check("memory" in container["resources"]["limits"], f"{name} has no memory limit")
        mounted = {v["configMap"]["name"] for v in pod.get("volumes", []) if "configMap" in v}
        check(mounted <= set(maps), f"{name} mounts {mounted - set(maps)}")


def addresses_name_ports_that_exist():
    objects = rendered()
    ports = {o["metadata"]["name"]: {p["port"] for p in o["spec"]["ports"]} for o in objects if o["kind"] == "Service"}
    text = "\n".join(v for o in objects if o["kind"] == "ConfigMap" for v in o["data"].values())
    seen = 0
    for host, port in re.findall(r"\b([a-z][a-z0-9.-]*):(\d{4})\b", text):
        service = host.split(".")[-1]
        check(service in ports, f"{host}:{port} is no service")
        check(int(port) in ports[service], f"{service} has no port {port}")
        seen += 1
    check(seen > 8, f"only {seen} addresses found")


if __name__ == "__main__":
    main(every_service_has_a_workload_a_service_and_a_config_map, every_flag_is_accepted_and_every_port_listened_on,
         addresses_name_ports_that_exist)
