// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

func TestCRI(t *testing.T) {
	k := startKubelet(t)
	n := k.neighbour(k.runPod(t, "shop"))
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return runtimes.NewCRI(socket, "containerd") },
		Neighbour: func(testing.TB) containertest.Neighbour { return n },
		Slow:      true,
	})
	t.Run("gizmo follows it", func(t *testing.T) { followed(t, n, "--runtimes=containerd", "--containerd-socketpath="+n.Socket) })
}

// kubelet makes pods in a containerd, as a kubelet does.
type kubelet struct {
	*containerd
	runtime cri.RuntimeServiceClient
	image   cri.ImageServiceClient
}

func startKubelet(t testing.TB) *kubelet {
	t.Helper()
	c := startContainerd(t, "k8s.io")
	conn, err := grpc.NewClient("unix://"+c.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	k := &kubelet{c, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)}
	eventually(t, "the interface answers", func() error {
		_, err := k.runtime.Version(context.Background(), &cri.VersionRequest{})
		return err
	})
	t.Cleanup(func() { k.removePods(t) })
	return k
}

// asks returns a context for a call.
func asks(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// pod is a running pod.
type pod struct {
	id     string
	config *cri.PodSandboxConfig
}

// namespaces returns the namespaces of a pod with the network of the host, which needs no plugin.
func namespaces() *cri.NamespaceOption {
	return &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER}
}

func (k *kubelet) podConfig(name string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: "store", Uid: "uid-of-" + name},
		LogDirectory: k.path("logs"),
		Labels: map[string]string{
			"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "store", "io.kubernetes.pod.uid": "uid-of-" + name, "app": name,
		},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    "/" + k.name,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: namespaces()},
		},
	}
}

func (k *kubelet) runPod(t testing.TB, name string) pod {
	t.Helper()
	if err := os.MkdirAll(k.path("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return k.runPodOf(t, k.podConfig(name))
}

func (k *kubelet) runPodOf(t testing.TB, config *cri.PodSandboxConfig) pod {
	t.Helper()
	made, err := k.runtime.RunPodSandbox(asks(t), &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return pod{made.PodSandboxId, config}
}

func (k *kubelet) removePods(t testing.TB) {
	t.Helper()
	pods, err := k.runtime.ListPodSandbox(asks(t), &cri.ListPodSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		_, err := k.runtime.StopPodSandbox(asks(t), &cri.StopPodSandboxRequest{PodSandboxId: p.Id})
		if err == nil {
			_, err = k.runtime.RemovePodSandbox(asks(t), &cri.RemovePodSandboxRequest{PodSandboxId: p.Id})
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func (k *kubelet) create(t testing.TB, p pod, w containertest.Wanted, attempt uint32) (id string) {
	t.Helper()
	labels := maps.Clone(p.config.Labels)
	delete(labels, "app")
	labels["io.kubernetes.container.name"] = w.Name
	maps.Copy(labels, w.Labels)
	made, err := k.runtime.CreateContainer(asks(t), &cri.CreateContainerRequest{
		PodSandboxId: p.id, SandboxConfig: p.config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: w.Name, Attempt: attempt},
			Image:    &cri.ImageSpec{Image: imageName}, Labels: labels, LogPath: "log",
			Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: p.config.Linux.SecurityContext.NamespaceOptions,
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.ContainerId
}

// neighbour makes containers in a pod.
func (k *kubelet) neighbour(p pod) containertest.Neighbour {
	var attempts atomic.Uint32
	start := func(t testing.TB, id string) error {
		_, err := k.runtime.StartContainer(asks(t), &cri.StartContainerRequest{ContainerId: id})
		return err
	}
	do := func(t testing.TB, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	return containertest.Neighbour{
		Socket:   k.socket,
		MaxLabel: 4 << 10,
		Hang:     k.hang,
		Create: func(t testing.TB, w containertest.Wanted) string {
			t.Helper()
			return k.create(t, p, w, attempts.Add(1))
		},
		Start: func(t testing.TB, id string) { do(t, start(t, id)) },
		End: func(t testing.TB, id string) {
			_, err := k.runtime.StopContainer(asks(t), &cri.StopContainerRequest{ContainerId: id})
			do(t, err)
		},
		Remove: func(t testing.TB, id string) {
			_, err := k.runtime.RemoveContainer(asks(t), &cri.RemoveContainerRequest{ContainerId: id})
			do(t, err)
		},
		Begin: func(t testing.TB, id string) (finish func()) {
			return k.hold(t, func() error { return start(t, id) })
		},
		Says: func(t testing.TB, id string) container.Identity { return k.saysContainer(t, id) },
		Restart: func(t testing.TB) {
			k.stop(t)
			k.start(t, func() error {
				if err := k.ping(); err != nil {
					return err
				}
				_, err := k.runtime.Status(asks(t), &cri.StatusRequest{})
				return err
			})
		},
	}
}

// info reads the text that containerd adds to a status.
func info(t testing.TB, status map[string]string) (info struct {
	PID   int
	Image string
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(status["info"]), &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// others returns the labels that are not the kubelet's.
func others(all map[string]string) map[string]string {
	own := make(map[string]string)
	maps.Copy(own, all)
	for _, key := range []string{"pod.name", "pod.namespace", "pod.uid", "container.name"} {
		delete(own, "io.kubernetes."+key)
	}
	return own
}

// digest returns the image's id, as the image service reports it: an image that no registry has has no digest.
func (k *kubelet) digest(t testing.TB, name string) string {
	t.Helper()
	answer, err := k.image.ImageStatus(asks(t), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Image.RepoDigests) > 0 {
		t.Errorf("image %s has digests: %v", name, answer.Image.RepoDigests)
	}
	return answer.Image.Id
}

// saysContainer returns what the interface reports about a running container.
func (k *kubelet) saysContainer(t testing.TB, id string) container.Identity {
	t.Helper()
	answer, err := k.runtime.ContainerStatus(asks(t), &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := k.runtime.ListContainers(asks(t), &cri.ListContainersRequest{Filter: &cri.ContainerFilter{Id: id}})
	if err != nil || len(listed.Containers) != 1 {
		t.Fatalf("%v, %v", listed, err)
	}
	s := answer.Status
	of := k.saysSandbox(t, listed.Containers[0].PodSandboxId).Pod
	of.Container, of.Sandbox = s.Metadata.Name, false
	return container.Identity{
		Runtime: "containerd", ID: s.Id, Name: s.Metadata.Name, Image: s.Image.Image, ImageDigest: k.digest(t, s.Image.Image),
		PID: info(t, answer.Info).PID, StartedAt: time.Unix(0, s.StartedAt), Labels: others(s.Labels), Pod: of,
	}
}

// saysSandbox returns what the interface reports about a running sandbox.
func (k *kubelet) saysSandbox(t testing.TB, id string) container.Identity {
	t.Helper()
	answer, err := k.runtime.PodSandboxStatus(asks(t), &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	s, more := answer.Status, info(t, answer.Info)
	return container.Identity{
		Runtime: "containerd", ID: s.Id, Name: s.Metadata.Name, Image: more.Image, ImageDigest: k.digest(t, more.Image), PID: more.PID,
		Pod: container.Pod{Namespace: s.Metadata.Namespace, Name: s.Metadata.Name, UID: s.Metadata.Uid, Labels: others(s.Labels), Sandbox: true},
	}
}
