// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// networkPlugin is a plugin of containerd that makes no network: it says what containerd wants to hear. The test makes the network.
const networkPlugin = `#!/bin/sh
cat >/dev/null
test "$CNI_COMMAND" != VERSION || { echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.4.0"]}'; exit; }
test "$CNI_COMMAND" != ADD || echo '{"cniVersion": "0.4.0", "interfaces": [{"name": "'$CNI_IFNAME'", "sandbox": "'$CNI_NETNS'"}], "ips": [{"version": "4", "interface": 0, "address": "10.77.0.9/24"}]}'
`

// wantPolicies is what the test's connections need: a pod of the store connects to another one, and to an address that is no pod's.
const wantPolicies = `# These policies allow the connections that gizmo saw, and deny all others of these pods. Review them before you apply them.
# An ipBlock or CIDR is an address of no pod that gizmo saw here. If it is that of a Service or of a pod elsewhere, select the pods instead.
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db-network
  namespace: store
spec:
  podSelector:
    matchLabels:
      app: db
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              app: web
      ports:
        - protocol: TCP
          port: 5432
  egress: []
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web-network
  namespace: store
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes: [Ingress, Egress]
  ingress: []
  egress:
    - to:
        - ipBlock:
            cidr: 10.77.0.3/32
      ports:
        - protocol: TCP
          port: 81
    - to:
        - podSelector:
            matchLabels:
              app: db
      ports:
        - protocol: TCP
          port: 5432
`

// Policies have the labels of pods on both sides, without an API server; a recording gives the same ones.
func TestNetworkPolicies(t *testing.T) {
	kerneltest.RequireProgram(t, "nsenter")
	k := startKubelet(t)
	for _, dir := range []string{"cni", "cni.d"} {
		if err := os.MkdirAll(k.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	k.write(t, "cni/loopback", networkPlugin, 0o700)
	k.write(t, "cni/none", networkPlugin, 0o700)
	k.write(t, "cni.d/none.conflist", `{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "none"}]}`, 0o600)
	web, db := k.networkPod(t, "web"), k.networkPod(t, "db")
	connectPods(t, web, db)

	recording := filepath.Join(t.TempDir(), "recording")
	g := startGizmo(t, "run", "advise_networkpolicy", "-v", "--runtimes=containerd", "--containerd-socketpath="+k.socket, "--record", recording)
	for _, pid := range []int{web, db} {
		eventually(t, "the gadget sees the packets of the pod", func() error {
			table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/packet", pid))
			if strings.Count(string(table), "\n") < 2 { // the first line is the head
				err = errors.Join(err, errors.New(g.err.text()))
			}
			return err
		})
	}
	server := inNetwork(db, "busybox", "nc", "-l", "-p", "5432")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is made", func() error { return inNetwork(web, "busybox", "nc", "-w", "1", "10.77.0.2", "5432").Run() })
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	_ = inNetwork(web, "busybox", "nc", "-w", "1", "10.77.0.3", "81").Run() // no program listens there

	if err := g.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-g.done
	if got := g.out.text(); got != wantPolicies {
		t.Errorf("got\n%s\nwant\n%s\ngizmo says %s", got, wantPolicies, g.err.text())
	}
	again, err := exec.Command(g.cmd.Path, "replay", recording).CombinedOutput()
	if err != nil || string(again) != wantPolicies {
		t.Errorf("of the recording (%v):\n%s", err, again)
	}
}

// networkPod makes a pod with a network of its own, and a container in it. It returns the container's first process.
func (k *kubelet) networkPod(t *testing.T, name string) (pid int) {
	t.Helper()
	config := k.podConfig(name)
	config.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER}
	if err := os.MkdirAll(k.path("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := k.runPodOf(t, config)
	id := k.create(t, p, containertest.Wanted{Name: "main"}, 0)
	if _, err := k.runtime.StartContainer(asks(t), &cri.StartContainerRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
	return k.saysContainer(t, id).PID
}

// inNetwork returns a command in the network namespace of a process.
func inNetwork(pid int, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/proc/" + strconv.Itoa(pid) + "/ns/net"}, args...)...)
}

// connectPods connects two pods by a virtual cable: 10.77.0.1 and 10.77.0.2. 10.77.0.3 is an address to which packets go and are lost.
func connectPods(t *testing.T, first, second int) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Namespace = "cable", netlink.NsPid(first)
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "cable", PeerNamespace: netlink.NsPid(second)}); err != nil {
		t.Fatal(err)
	}
	for i, pid := range []int{first, second} {
		for _, args := range []string{
			fmt.Sprintf("addr add 10.77.0.%d/24 dev cable", i+1), "link set cable up",
			"neigh replace 10.77.0.3 lladdr 02:00:00:00:77:03 dev cable",
		} {
			if out, err := inNetwork(pid, append([]string{"ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", args, err, out)
			}
		}
	}
}
