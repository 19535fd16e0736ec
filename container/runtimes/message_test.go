// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gizmo-ebpf/gizmo/container"
)

// encode returns the bytes of a message.
func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	message, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// envelope returns an event of containerd.
func envelope(t testing.TB, topic string, event proto.Message) []byte {
	t.Helper()
	payload, err := anypb.New(event)
	if err != nil {
		t.Fatal(err)
	}
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	return encode(t, &types.Envelope{Timestamp: at, Namespace: "k8s.io", Topic: topic, Event: payload})
}

// The official modules encode the messages, including fields that gizmo does not read.
func TestReadEvent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic string
		event proto.Message
		want  event
	}{
		{topicCreate, &eventtypes.ContainerCreate{ID: "a", Image: "b", Runtime: &eventtypes.ContainerCreate_Runtime{Name: "c"}}, event{id: "a"}},
		{topicDelete, &eventtypes.ContainerDelete{ID: "a"}, event{id: "a"}},
		{topicStart, &eventtypes.TaskStart{ContainerID: "a", Pid: 17}, event{id: "a", pid: 17}},
		{topicStart, &eventtypes.TaskStart{ContainerID: "a", Pid: 1 << 31}, event{id: "a"}},
		{topicExit, &eventtypes.TaskExit{ContainerID: "a", ID: "b", Pid: 17, ExitStatus: 1, ExitedAt: timestamppb.Now()}, event{id: "a", process: "b"}},
	} {
		c.want.topic, c.want.namespace, c.want.at = c.topic, "k8s.io", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		got, err := readEvent(envelope(t, c.topic, c.event))
		got.at = got.at.UTC()
		if err != nil || got != c.want {
			t.Errorf("got %+v, %v, want %+v", got, err, c.want)
		}
	}
}

func TestContainerdIdentity(t *testing.T) {
	t.Parallel()
	kubelet := func(others map[string]string) map[string]string {
		all := map[string]string{"io.kubernetes.pod.name": "shop", "io.kubernetes.pod.namespace": "store", "io.kubernetes.pod.uid": "u", "tier": "web"}
		maps.Copy(all, others)
		return all
	}
	tier := map[string]string{"tier": "web"}
	pod := container.Pod{Namespace: "store", Name: "shop", UID: "u"}
	inPod, sandbox := pod, pod
	inPod.Container = "main"
	sandbox.Sandbox, sandbox.Labels = true, tier
	for _, c := range []struct {
		what, namespace string
		labels          map[string]string
		want            container.Identity
	}{
		{"no labels", "default", nil, container.Identity{Name: "id"}},
		{"nerdctl", "default", map[string]string{"nerdctl/name": "web"}, container.Identity{Name: "web", Labels: map[string]string{"nerdctl/name": "web"}}},
		{"Docker", "moby", tier, container.Identity{Runtime: "docker", Name: "id", Labels: tier}},
		{"a pod's container", "k8s.io", kubelet(map[string]string{"io.kubernetes.container.name": "main", "io.cri-containerd.kind": "container"}),
			container.Identity{Name: "main", Labels: tier, Pod: inPod}},
		{"a sandbox", "k8s.io", kubelet(map[string]string{"io.cri-containerd.kind": "sandbox"}), container.Identity{Name: "shop", Pod: sandbox}},
		{"the labels of a pod elsewhere", "default", kubelet(nil), container.Identity{Name: "id", Labels: kubelet(nil)}},
		{"no pod", "k8s.io", tier, container.Identity{Name: "id", Labels: tier}},
	} {
		c.want.Runtime, c.want.ID, c.want.Image = cmp.Or(c.want.Runtime, "containerd"), "id", "busy"
		message := encode(t, &containersapi.Container{ID: "id", Image: "busy", Labels: c.labels, CreatedAt: timestamppb.Now(), Sandbox: "s"})
		got, err := containerdIdentity(c.namespace, message)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got\n\t%+v, %v\nwant\n\t%+v", c.what, got, err, c.want)
		}
	}
	if _, err := containerdIdentity("default", encode(t, &containersapi.Container{Image: "busy"})); !errors.Is(err, errNoID) {
		t.Errorf("a container without an id: %v", err)
	}
}

// fields skips numbers of other sizes, and groups, which current messages do not have.
func TestFieldsOfOtherKinds(t *testing.T) {
	t.Parallel()
	message := protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 1)
	message = protowire.AppendFixed64(protowire.AppendTag(message, 2, protowire.Fixed64Type), 2)
	message = appendText(protowire.AppendTag(message, 3, protowire.StartGroupType), 7, "in a group")
	message = protowire.AppendTag(message, 3, protowire.EndGroupType)
	message = appendNumber(appendText(message, 4, "text"), 5, 6)
	var got []string
	for f, err := range fields(message) {
		got = append(got, fmt.Sprint(f.number, string(f.bytes), f.value, err))
	}
	if want := "4text0 <nil>;5 6 <nil>"; strings.ReplaceAll(strings.Join(got, ";"), " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFieldsOfBrokenMessages(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"\x0a", "\x0a\x05abcd", "\x08", "\x08\xff", "\x00", "\x0b\x0a\x01a", "\x0f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		var last error
		for _, err := range fields([]byte(message)) {
			last = err
		}
		if last == nil {
			t.Errorf("%q counts as a message", message)
		}
	}
}

// The labels that gizmo keeps do not depend on their order in the message.
func TestLabelsAreSorted(t *testing.T) {
	t.Parallel()
	var forth, back pairs
	add := func(p *pairs, i int) {
		message := appendText(appendText(nil, 1, fmt.Sprintf("key-%04d", i)), 2, strings.Repeat("v", 100))
		if err := p.add(message); err != nil {
			t.Fatal(err)
		}
	}
	const count = 1000
	for i := range count {
		add(&forth, i)
		add(&back, count-1-i)
	}
	a, b := forth.labels(), back.labels()
	if len(a) < 500 || len(a) >= count || !maps.Equal(a, b) {
		t.Errorf("%d and %d labels are kept", len(a), len(b))
	}
}

// Whatever a server sends, gizmo keeps a bounded part of it.
func FuzzReaders(f *testing.F) {
	labels := map[string]string{"a": "b", "io.kubernetes.pod.name": "c", strings.Repeat("k", 5000): "v", "long": strings.Repeat("ä", 5000)}
	for _, m := range []proto.Message{
		&containersapi.Container{ID: "id", Image: "image", Labels: labels},
		&cri.Container{Id: "id", PodSandboxId: "pod", Metadata: &cri.ContainerMetadata{Name: "name"}, Image: &cri.ImageSpec{Image: "image"}, Labels: labels},
		&cri.PodSandbox{Id: "id", Metadata: &cri.PodSandboxMetadata{Name: "name", Uid: "uid", Namespace: "ns"}, Labels: labels},
		&cri.ContainerStatusResponse{Status: &cri.ContainerStatus{Id: "id", StartedAt: 1}, Info: map[string]string{"info": `{"pid": 1}`}},
		&cri.ContainerEventResponse{ContainerId: "id", ContainerEventType: 1},
		&cri.Image{Id: "id", RepoDigests: []string{"a@b"}},
	} {
		f.Add(encode(f, m))
	}
	f.Add(envelope(f, topicExit, &eventtypes.TaskExit{ContainerID: "id", ID: "id"}))
	f.Fuzz(func(t *testing.T, message []byte) {
		short := func(texts ...string) {
			for _, text := range texts {
				if len(text) > maxText {
					t.Errorf("a text of %d bytes", len(text))
				}
			}
		}
		bounded := func(labels map[string]string) {
			size := 0
			for key, value := range labels {
				short(key, value)
				size += len(key) + len(value)
			}
			if size > maxLabels {
				t.Errorf("%d bytes of labels", size)
			}
		}
		id, err := containerdIdentity("k8s.io", message)
		if err == nil && id.ID == "" {
			t.Error("a container without an id")
		}
		short(id.ID, id.Name, id.Image, id.Pod.Name)
		bounded(id.Labels)
		for _, read := range []func(*criObject, field) error{(*criObject).container, (*criObject).sandbox, (*criObject).status} {
			o, err := readObject(message, read)
			if err == nil && o.id == "" {
				t.Error("an object without an id")
			}
			short(o.id, o.pod, o.name, o.uid, o.namespace, o.image, o.ref)
			bounded(o.labels)
		}
		if pid := readInfo(message).pid(); pid < 0 || pid > maxPID {
			t.Errorf("process %d", pid)
		}
		e, _ := readEvent(message)
		short(e.id, e.topic, e.namespace, e.process)
		change, ok, err := readContainerEvent(message)
		if ok && (err != nil || change.ID == "") {
			t.Errorf("%+v, %v", change, err)
		}
		name, digest, _ := containerdImage(message)
		imageDigest, _ := readDigest(message)
		short(change.ID, name, digest, imageDigest)
	})
}
