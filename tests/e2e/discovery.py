"""The real Prometheus beside us, both asking the same fakes: what they discover
has the same labels, target by target, and stays the same when it changes.

A kind is one entry of CASES. Kinds that the peer at hand was built without are
left out of the comparison, and said so."""

import json
import os
import re
import subprocess

from discovery_fakes import Kubernetes, Pages, ZooKeeper, own_name_server
from harness import HOST, Suite, check, free_port, get, main, need_peer, wait_for

# ----------------------------------------------------------------------- cases


class Case:
    """One job. `config` is its part of the scrape config, in which {pages},
    {socket}, {zookeeper}, {kubernetes} stand for the fakes' addresses. `before(fakes)` sets
    them up, `after(fakes)` changes what they tell, `touch(fakes)` tells it
    again while the two do not agree: for what the peer does not follow."""

    def __init__(self, job, config, before, after, touch=lambda fakes: None):
        self.job, self.config, self.before, self.after, self.touch = job, config, before, after, touch


class Fakes:
    def __init__(self, suite):
        self.pages = suite.own(Pages())
        self.socket = suite.own(Pages(self.pages.pages, unix_socket=os.path.join(suite.folder, "docker.sock")))
        self.zookeeper = suite.own(ZooKeeper())
        self.kubernetes = suite.own(Kubernetes())
        self.name_server = None

    def fill(self, text):
        for name in ("pages", "socket", "zookeeper", "kubernetes"):
            text = text.replace("{" + name + "}", getattr(self, name).address)
        return text


def pages(new):
    return lambda fakes: fakes.pages.pages.update(new)


HTTP_GROUPS = [
    {"targets": ["192.0.2.1:80", "192.0.2.2:80"], "labels": {"zone": "a", "ünï": "ok", "__meta_x": "1"}},
    {"targets": ["[2001:db8::1]:9100"]},
    {"targets": [], "labels": {"l": "v"}},
]


def container(name, mode="bridge", networks=None, ports=()):
    return {"Id": name * 8, "Names": ["/" + name, "/x/" + name], "Image": "img:" + name, "ImageID": "sha256:1",
            "Labels": {"com.example/a-b": name, "ü": "1"}, "HostConfig": {"NetworkMode": mode}, "Ports": list(ports),
            "NetworkSettings": {"Networks": networks if networks is not None else {
                "bridge": {"NetworkID": "net1", "IPAddress": "192.0.2.10"},
                "second": {"NetworkID": "net2", "IPAddress": "192.0.2.11"}}}}


CONTAINERS = [
    container("web", ports=[
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 443, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp"}]),
    container("plain"),
    container("host", mode="host", networks={"host": {"NetworkID": "net3", "IPAddress": ""}}),
    container("side", mode="container:" + "web" * 8, networks={}),
    container("none", mode="none", networks={}),
]
NETWORKS = [
    {"Id": "net1", "Name": "bridge", "Scope": "local", "Internal": False, "Ingress": False, "Labels": {"k.1": "v"}},
    {"Id": "net2", "Name": "second", "Scope": "swarm", "Internal": True, "Ingress": True},
]
DOCKER_PAGES = {"/_ping": ("text/plain", "OK"), "/containers/json": CONTAINERS, "/networks": NETWORKS}

SERVICES = [
    {"ID": "s1", "Spec": {"Name": "web", "Labels": {"a.b": "c"}, "Mode": {"Replicated": {"Replicas": 2}},
                          "TaskTemplate": {"ContainerSpec": {"Image": "i:1", "Hostname": "h"}}},
     "UpdateStatus": {"State": "completed"},
     "Endpoint": {"Ports": [{"Name": "m", "Protocol": "tcp", "TargetPort": 1, "PublishedPort": 90,
                             "PublishMode": "ingress"},
                            {"Protocol": "udp", "PublishedPort": 53, "PublishMode": "host"}],
                  "VirtualIPs": [{"NetworkID": "net1", "Addr": "192.0.2.20/24"},
                                 {"NetworkID": "gone", "Addr": "192.0.2.21/24"}]}},
    {"ID": "s2", "Spec": {"Name": "agent", "Mode": {"Global": {}}, "TaskTemplate": {"ContainerSpec": {"Image": "j"}}},
     "Endpoint": {"VirtualIPs": [{"NetworkID": "net2", "Addr": "192.0.2.22/24"}]}},
]
NODES = [
    {"ID": "n1", "Spec": {"Role": "manager", "Availability": "active", "Labels": {"rack-id": "7"}},
     "Description": {"Hostname": "one", "Engine": {"EngineVersion": "27.0"},
                     "Platform": {"Architecture": "x86_64", "OS": "linux"}},
     "Status": {"State": "ready", "Addr": "192.0.2.31"},
     "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.31:2377"}},
    {"ID": "n2", "Spec": {"Role": "worker", "Availability": "drain"}, "Description": {"Hostname": "two"},
     "Status": {"State": "down", "Addr": "2001:db8::32"}},
]
TASKS = [
    {"ID": "t1", "ServiceID": "s1", "NodeID": "n1", "Slot": 1, "DesiredState": "running",
     "Spec": {"ContainerSpec": {"Labels": {"k/l": "v"}}},
     "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c1"},
                "PortStatus": {"Ports": [{"Protocol": "tcp", "PublishedPort": 70, "PublishMode": "host"},
                                         {"Protocol": "udp", "PublishedPort": 71, "PublishMode": "host"}]}},
     "NetworksAttachments": [{"Network": {"ID": "net1"}, "Addresses": ["192.0.2.40/24", "192.0.2.41/24"]}]},
    {"ID": "t2", "ServiceID": "s2", "NodeID": "n2", "DesiredState": "shutdown", "Spec": {"ContainerSpec": {}},
     "Status": {"State": "failed", "ContainerStatus": {}, "PortStatus": {}},
     "NetworksAttachments": [{"Network": {"ID": "unknown"}, "Addresses": ["192.0.2.42/24"]}]},
]
SWARM_PAGES = {"/services": SERVICES, "/nodes": NODES, "/tasks": TASKS, **DOCKER_PAGES}

EUREKA = """<?xml version="1.0" encoding="UTF-8"?>
<applications><versions__delta>1</versions__delta>
<application><name>CONFIG</name>
<instance><instanceId>a:config:1</instanceId><hostName>a.example.org</hostName><app>CONFIG</app>
<ipAddr>192.0.2.50</ipAddr><status>UP</status><overriddenstatus>UNKNOWN</overriddenstatus>
<port enabled="true">8080</port><securePort enabled="false">443</securePort><countryId>1</countryId>
<dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name>
<metadata><zone>z &amp; y</zone></metadata></dataCenterInfo>
<metadata><management.port>8090</management.port><x-y>1 &lt; 2</x-y><e/></metadata>
<homePageUrl>http://a.example.org/?a=1&amp;b=2</homePageUrl><statusPageUrl>http://a.example.org/info</statusPageUrl>
<healthCheckUrl>http://a.example.org/health</healthCheckUrl><vipAddress>v</vipAddress>
<secureVipAddress>sv</secureVipAddress></instance>
<instance><hostName>b.example.org</hostName><metadata class="java.util.Collections$EmptyMap"/></instance>
</application></applications>"""


RESOURCES = [
    {"certname": "a.example.test", "resource": "r1", "type": "Class", "title": "T", "exported": True, "tags": ["x", "y"],
     "file": "/site.pp", "environment": "prod",
     "parameters": {"text": "t", "flag": False, "number": 123456789, "half": 0.25, "list": ["a", 1, True, None],
                    "none": None, "empty": [], "deep-1": {"in.ner": {"deep": "d", "l": [1]}, "n": 1e300}}},
    {"certname": "b.example.test", "resource": "r2", "type": "Class", "title": "T", "parameters": {}},
]

TASK_LIST = [{"id": "t1", "host": "192.0.2.80", "ports": [31000, 31001], "ipAddresses": [{"ipAddress": "192.0.2.90"}]},
             {"id": "t2", "host": "192.0.2.81", "ports": [32000, 32001]}]
APPS = [
    {"id": "/mapped", "labels": {"a.b": "c"}, "tasks": TASK_LIST, "container": {
        "docker": {"image": "i:1"}, "portMappings": [{"labels": {"m-1": "1"}, "hostPort": 0, "containerPort": 80},
                                                     {"hostPort": 8081, "containerPort": 81}]}},
    {"id": "/old", "tasks": TASK_LIST, "networks": [{"mode": "container"}],
     "container": {"docker": {"image": "i:2", "portMappings": [{"containerPort": 82, "labels": {"o": "2"}}]}}},
    {"id": "/defined", "tasks": TASK_LIST, "portDefinitions": [{"port": 1, "labels": {"d": "3"}}, {"port": 2}]},
    {"id": "/required", "tasks": TASK_LIST, "portDefinitions": [{"port": 10001}], "requirePorts": True},
    {"id": "/plain", "tasks": TASK_LIST},
    {"id": "/idle", "tasks": []},
]

UUID = "11111111-1111-1111-1111-111111111111"
SCALEWAY = "/instance/v1/zones/fr-par-1/"
INSTANCES = [
    {"id": "i1", "name": "n1", "hostname": "h1", "organization": "o", "project": "p", "commercial_type": "DEV1-S",
     "boot_type": "local", "state": "running", "zone": "fr-par-1", "tags": ["a", "b"],
     "image": {"id": "im", "name": "debian", "arch": "x86_64"},
     "location": {"cluster_id": "c", "hypervisor_id": "hv", "node_id": "no"},
     "security_group": {"id": "sg", "name": "default"}, "ipv6": {"address": "2001:db8::1"},
     "public_ip": {"id": "x", "address": "192.0.2.100", "family": "inet"}, "private_ip": "192.0.2.101"},
    {"id": "i2", "name": "n2", "zone": "fr-par-1", "public_ip": {"id": "y", "address": "192.0.2.102", "family": "inet"}},
    {"id": "i3", "name": "without address", "zone": "fr-par-1"},
]
BARE = "/baremetal/v1/zones/fr-par-1/"
BAREMETAL = {
    BARE + "offers": {"offers": [{"id": "o1", "name": "GP-1"}], "total_count": 1},
    BARE + "os": {"os": [{"id": "s1", "name": "Debian", "version": "12"}], "total_count": 1},
    BARE + "servers": {"total_count": 2, "servers": [
        {"id": "b1", "name": "n", "zone": "fr-par-1", "status": "ready", "project_id": "p", "offer_id": "o1",
         "install": {"os_id": "s1"}, "tags": ["t"], "ips": [{"address": "2001:db8::1", "version": "IPv6"},
                                                            {"address": "192.0.2.110", "version": "IPv4"}]},
        {"id": "b2", "name": "m", "zone": "fr-par-1", "ips": [{"address": "2001:db8::2", "version": "IPv6"}]}]},
}


def members(zookeeper):
    """Nodes of both kinds below /members."""
    zookeeper.set("/members", "")
    zookeeper.set("/members/nerve", "no member")
    zookeeper.set("/members/nerve/a", {"host": "192.0.2.60", "port": 1234, "name": "a"})
    zookeeper.set("/members/serverset", "")
    zookeeper.set("/members/serverset/0", {
        "serviceEndpoint": {"host": "192.0.2.61", "port": 1}, "status": "ALIVE", "shard": 3,
        "additionalEndpoints": {"http-admin": {"host": "192.0.2.61", "port": 2}}})


def changed_members(zookeeper):
    zookeeper.set("/members/nerve/a", {"host": "192.0.2.63", "port": 1, "name": "changed"})
    zookeeper.set("/members/nerve/b", {"host": "192.0.2.64", "port": 2, "name": "added"})
    zookeeper.remove("/members/serverset/0")
    zookeeper.set("/members/serverset/1", {"serviceEndpoint": {"host": "192.0.2.65", "port": 5}, "status": "DEAD"})


def pod(name, ip, ports=(), **more):
    return {"metadata": {"namespace": more.pop("space", "ns"), "name": name, "uid": "u-" + name,
                         "labels": {"app.kubernetes.io/name": name, "empty": ""}, "annotations": {"a/b-c": "1"},
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "r",
                                              "controller": True}]},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "main", "image": "img:1", "ports": list(ports)}, {"name": "side", "image": "img:2"}],
                "initContainers": [{"name": "init", "image": "img:3", "ports": [{"containerPort": 7}]}]},
            "status": {"podIP": ip, "hostIP": "192.0.2.90", "phase": more.get("phase", "Running"),
                       "conditions": [{"type": "Ready", "status": "True"}],
                       "containerStatuses": [{"name": "main", "containerID": "c://1", "image": "img:1", "imageID": "",
                                              "ready": True, "restartCount": 0}]}}


PORTS = [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090, "protocol": "TCP"}]
NODE = {"metadata": {"name": "n1", "labels": {"zone": "z"}, "annotations": {"x.y": "1"}},
        "spec": {"providerID": "p://1"},
        "status": {"addresses": [{"type": "Hostname", "address": "h"}, {"type": "ExternalIP", "address": "192.0.2.91"},
                                 {"type": "InternalIP", "address": "192.0.2.90"}],
                   "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}],
                   "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}
POD_REFERENCE = {"kind": "Pod", "namespace": "ns", "name": "web"}


def cluster(api):
    """Objects for all roles."""
    api.put("namespaces", {"metadata": {"name": "ns", "labels": {"team": "t"}, "annotations": {"o": "p"}}})
    api.put("nodes", NODE)
    api.put("pods", pod("web", "192.0.2.80", PORTS))
    api.put("pods", pod("six", "2001:db8::80", PORTS[:1]))
    api.put("pods", pod("waiting", ""))
    api.put("pods", pod("other", "192.0.2.81", space="elsewhere"))
    api.put("services", {
        "metadata": {"namespace": "ns", "name": "web", "labels": {"l-1": "v"}},
        "spec": {"type": "ClusterIP", "clusterIP": "192.0.2.82",
                 "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "UDP"}]}})
    api.put("services", {"metadata": {"namespace": "ns", "name": "out"}, "spec": {
        "type": "ExternalName", "externalName": "out.example.org", "ports": [{"port": 1, "protocol": "TCP"}]}})
    api.put("endpoints", {"metadata": {"namespace": "ns", "name": "web", "labels": {"e": "f"}}, "subsets": [{
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "addresses": [{"ip": "192.0.2.80", "nodeName": "n1", "hostname": "h", "targetRef": POD_REFERENCE},
                      {"ip": "192.0.2.90", "targetRef": {"kind": "Node", "name": "n1"}}],
        "notReadyAddresses": [{"ip": "192.0.2.83"}]}]})
    api.put("endpointslices", {
        "metadata": {"namespace": "ns", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "h2c"},
                  {"name": "more", "port": 8081, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["192.0.2.80"], "nodeName": "n1", "zone": "z", "targetRef": POD_REFERENCE,
                       "conditions": {"ready": True, "serving": True, "terminating": False}},
                      {"addresses": ["192.0.2.84"], "hostname": "h", "conditions": {},
                       "deprecatedTopology": {"a.b/c": "d"}}]})
    api.put("ingresses", {"metadata": {"namespace": "ns", "name": "web"}, "spec": {
        "ingressClassName": "cls", "tls": [{"hosts": ["*.example.org"]}],
        "rules": [{"host": "a.example.org", "http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": {}},
                                                               {"pathType": "Prefix", "backend": {}}]}},
                  {"host": "b.a.example.org"}]}})


def change_service(api):
    """Prometheus reads the pods of an endpoint slice again when its service changes, not when they do."""
    api.put("services", {"metadata": {"namespace": "ns", "name": "web", "labels": {"l-1": "changed"}},
                         "spec": {"type": "ClusterIP", "clusterIP": "192.0.2.82",
                                  "ports": [{"port": 80, "protocol": "TCP"}]}})


def changed_cluster(api):
    api.put("nodes", {**NODE, "metadata": {"name": "n1", "labels": {"zone": "other"}}})
    api.put("pods", pod("web", "192.0.2.80", PORTS, phase="Succeeded"))
    api.put("pods", pod("added", "192.0.2.86"))
    api.delete("pods", "ns", "six")
    api.delete("services", "ns", "out")
    change_service(api)
    api.put("ingresses", {"metadata": {"namespace": "ns", "name": "web"},
                          "spec": {"rules": [{"host": "c.example.org"}]}})


def kubernetes_case(job, config, first=False):
    return Case(job, "kubernetes_sd_configs: [{api_server: 'http://{kubernetes}', " + config + "}]",
                lambda fakes: cluster(fakes.kubernetes) if first else None,
                lambda fakes: changed_cluster(fakes.kubernetes) if first else None,
                lambda fakes: change_service(fakes.kubernetes) if first else None)


EC2_INSTANCES = """<DescribeInstancesResponse><reservationSet><item><ownerId>owner</ownerId><instancesSet>
<item><instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><name>running</name></instanceState>
<privateDnsName>p.dns</privateDnsName><dnsName>d.dns</dnsName><instanceType>t3</instanceType>
<placement><availabilityZone>eu-1a</availabilityZone></placement><platform>windows</platform>
<subnetId>sub-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>192.0.2.95</privateIpAddress>
<ipAddress>198.51.100.1</ipAddress><architecture>x86_64</architecture><instanceLifecycle>spot</instanceLifecycle>
<tagSet><item><key>a b</key><value>c</value></item></tagSet><networkInterfaceSet>
<item><subnetId>sub-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment><ipv6AddressesSet>
<item><ipv6Address>2001:db8::1</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item></ipv6AddressesSet></item>
<item><subnetId>sub-2</subnetId><attachment><deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet>
<item><ipv6Address>2001:db8::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
</networkInterfaceSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"""
EC2_ZONES = """<DescribeAvailabilityZonesResponse><availabilityZoneInfo><item><zoneName>eu-1a</zoneName>
<zoneId>euz1</zoneId></item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>"""


def ec2(instances):
    """The EC2 API, which has one path."""
    def answer(handler):
        body = (EC2_ZONES if b"DescribeAvailabilityZones" in handler.body else instances).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "text/xml")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return pages({"/": answer})


CASES = [
    Case("http", "http_sd_configs: [{url: 'http://{pages}/http', refresh_interval: 1s}]",
         pages({"/http": HTTP_GROUPS}), pages({"/http": HTTP_GROUPS[1:]})),
    Case("docker", "docker_sd_configs: [{host: 'http://{pages}', refresh_interval: 1s}]",
         pages(DOCKER_PAGES), pages({"/containers/json": CONTAINERS[1:4]})),
    Case("docker_by_socket", "docker_sd_configs: [{host: 'unix://{socket}', refresh_interval: 1s, port: 7, "
         "match_first_network: false, host_networking_host: me, filters: [{name: status, values: [running]}]}]",
         pages(DOCKER_PAGES), pages({})),
    *[Case(f"swarm_{role}", "dockerswarm_sd_configs: [{host: 'http://{pages}', refresh_interval: 1s, role: " +
           role + "}]", pages(SWARM_PAGES), pages({"/" + role: SWARM_PAGES["/" + role][:1]}))
      for role in ("services", "nodes", "tasks")],
    Case("eureka", "eureka_sd_configs: [{server: 'http://{pages}/eureka', refresh_interval: 1s}]",
         pages({"/eureka/apps": ("application/xml", EUREKA)}),
         pages({"/eureka/apps": ("application/xml", EUREKA.replace("8080", "8081"))})),
    Case("puppetdb", "puppetdb_sd_configs: [{url: 'http://{pages}/pdb', query: 'resources {}', include_parameters: true, "
         "refresh_interval: 1s}]",
         pages({"/pdb/pdb/query/v4": RESOURCES}), pages({"/pdb/pdb/query/v4": RESOURCES[:1]})),
    Case("marathon", "marathon_sd_configs: [{servers: ['http://{pages}/marathon'], refresh_interval: 1s}]",
         pages({"/marathon/v2/apps/": {"apps": APPS}}), pages({"/marathon/v2/apps/": {"apps": APPS[1:]}})),
    *[Case(f"scaleway_{role}", "scaleway_sd_configs: [{api_url: 'http://{pages}', project_id: " + UUID + ", "
           "access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: " + UUID + ", tags_filter: [a, b], refresh_interval: 1s, role: "
           + role + "}]", pages(before), pages(after))
      for role, before, after in (
          ("instance", {SCALEWAY + "servers": {"servers": INSTANCES}}, {SCALEWAY + "servers": {"servers": INSTANCES[:1]}}),
          ("baremetal", BAREMETAL, {BARE + "servers": {"servers": BAREMETAL[BARE + "servers"]["servers"][:1]}}))],
    Case("nerve", "nerve_sd_configs: [{servers: ['{zookeeper}'], paths: [/members]}]",
         lambda fakes: members(fakes.zookeeper), lambda fakes: changed_members(fakes.zookeeper)),
    Case("serverset", "serverset_sd_configs: [{servers: ['{zookeeper}'], paths: [/members/serverset]}]",
         lambda fakes: None, lambda fakes: None),
    *[kubernetes_case(f"kubernetes_{role}", "role: " + role, first=role == "pod")
      for role in ("pod", "service", "endpoints", "endpointslice", "ingress", "node")],
    *[kubernetes_case(f"kubernetes_{role}_with_metadata",
                      f"role: {role}, namespaces: {{names: [ns]}}, attach_metadata: {{node: true}}")
      for role in ("pod", "endpoints", "endpointslice")],
    Case("ec2", "ec2_sd_configs: [{endpoint: 'http://{pages}', region: eu-1, access_key: k, secret_key: s, "
         "refresh_interval: 1s}]", ec2(EC2_INSTANCES), ec2(EC2_INSTANCES.replace("running", "stopped"))),
]

DNS_RECORDS = {
    "web.example.test.": [("A", "192.0.2.70"), ("A", "192.0.2.71"), ("AAAA", "2001:db8::70")],
    "_m._tcp.example.test.": [("SRV", (9100, "a.example.test")), ("SRV", (9101, "b.example.test"))],
    "example.test.": [("MX", (10, "mail.example.test")), ("NS", "ns.example.test")],
    "alias.example.test.": [("CNAME", "web.example.test"), ("A", "192.0.2.72")],
}


def dns_case(job, name, kind):
    def before(fakes):
        fakes.name_server.records.update(DNS_RECORDS)

    def after(fakes):
        fakes.name_server.records["web.example.test."] = [("A", "192.0.2.79")]
        fakes.name_server.records["_m._tcp.example.test."] = DNS_RECORDS["_m._tcp.example.test."][1:]
    return Case(job, f"dns_sd_configs: [{{names: ['{name}', none.example.test], type: {kind}, port: 80, "
                "refresh_interval: 1s}]", before, after)


DNS_CASES = [
    dns_case("dns_a", "web.example.test", "A"), dns_case("dns_aaaa", "web.example.test.", "AAAA"),
    dns_case("dns_srv", "_m._tcp.example.test", "SRV"), dns_case("dns_mx", "example.test", "MX"),
    dns_case("dns_ns", "example.test", "NS"), dns_case("dns_alias", "alias.example.test", "A"),
    dns_case("dns_search", "web", "A"),
]

# --------------------------------------------------------------------- running


def known_kinds(cases):
    """Those cases whose kind the peer was built with."""
    promtool = need_peer("promtool")
    out = []
    for case in cases:
        kind = re.search(r"\w+_sd_configs", case.config).group()
        text = f"scrape_configs: [{{job_name: x, {kind}: []}}]"
        answer = subprocess.run([promtool, "check", "config", "--syntax-only", "/dev/stdin"], input=text, text=True,
                                capture_output=True)
        if "not found in type" in answer.stdout + answer.stderr:
            print(f"        {case.job}: this Prometheus is without {kind}", flush=True)
        else:
            out.append(case)
    return out


def scrape_configs(cases, fakes):
    # Everything is dropped: nothing that was discovered is there to be scraped.
    return "scrape_configs:\n" + "".join(
        f"- job_name: {case.job}\n  {fakes.fill(case.config)}\n"
        "  relabel_configs: [{action: drop, regex: .*, source_labels: [__address__]}]\n" for case in cases)


# What Prometheus has added since 3.5, the peer at hand.
NEWER_LABELS = {
    "__scrape_native_histograms__", "__always_scrape_classic_histograms__", "__convert_classic_histograms_to_nhcb__",
    "__meta_docker_container_image", "__meta_docker_container_image_id", "__meta_kubernetes_node_condition_ready",
    "__meta_kubernetes_node_condition_diskpressure", "__meta_ec2_default_ipv6_address"}


def discovered(port):
    """Labels of all targets by job."""
    out = {}
    for target in get(port, "/api/v1/targets", {"state": "dropped"}).json()["data"]["droppedTargets"]:
        labels = target["discoveredLabels"]
        out.setdefault(labels["job"], []).append(sorted(
            (name, value) for name, value in labels.items() if name not in NEWER_LABELS))
    return {job: sorted(targets) for job, targets in out.items()}


def compare(suite, cases, fakes, wrap=lambda command: command):
    binary = need_peer("prometheus")
    cases = known_kinds(cases)
    for case in cases:
        case.before(fakes)
    config = suite.write("prometheus.yml", scrape_configs(cases, fakes))
    port = free_port()
    peer = suite.peer("prometheus", wrap([
        binary, f"--config.file={config}", f"--storage.tsdb.path={suite.folder}/peer",
        f"--web.listen-address={HOST}:{port}"]), port)
    scraper = suite.add("scraper")
    scraper.command = wrap(scraper.command)
    peer.start(wait=False)
    suite.start("ingester", "querier", "scraper")
    peer.wait_ready()

    def agree(what, differs_from=None):
        """Waits until both found the same, for all jobs and, for those that
        changed, something else than before."""
        found = {}

        def same():
            found["ours"], found["theirs"] = discovered(suite.querier.port), discovered(port)
            if found["ours"] != found["theirs"]:
                for case in cases if differs_from else ():
                    case.touch(fakes)
                return False
            return found["theirs"] != differs_from if differs_from else len(found["theirs"]) == len(cases)
        try:
            wait_for(what, same, timeout=45, every=0.5)
        except AssertionError:
            for case in cases:
                ours, theirs = (found[who].get(case.job, []) for who in ("ours", "theirs"))
                for target in theirs:
                    check(target in ours, f"{what}: {case.job}: missing {json.dumps(dict(target), indent=1)}\n"
                          f"ours: {json.dumps([dict(t) for t in ours], indent=1)}")
                for target in ours:
                    check(target in theirs, f"{what}: {case.job}: too much {json.dumps(dict(target), indent=1)}")
            counts = {case.job: len(found["theirs"].get(case.job, [])) for case in cases}
            raise AssertionError(f"{what}: no differences, but targets are missing: {counts}")
        return found["theirs"]

    first = agree("the first targets")
    for case in cases:
        case.after(fakes)
    agree("the changed targets", first)
    print(f"        {len(cases)} jobs, {sum(len(targets) for targets in first.values())} targets", flush=True)


def discovers_as_prometheus():
    with Suite() as suite:
        compare(suite, CASES, Fakes(suite))


def resolves_as_prometheus():
    with Suite() as suite:
        fakes = Fakes(suite)
        fakes.name_server, wrap = own_name_server(suite)
        compare(suite, DNS_CASES, fakes, wrap)


main(discovers_as_prometheus, resolves_as_prometheus)
