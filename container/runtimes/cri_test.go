// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// playedCRI answers as the Container Runtime Interface of containerd and of CRI-O does. All containers are in one pod.
type playedCRI struct {
	played *containertest.Played
	// events says that it has GetContainerEvents; delay is how long that takes to begin.
	events bool
	delay  time.Duration
	// sandboxInfo is what the runtime adds to the status of the sandbox; empty: the answer does not come.
	sandboxInfo string
	// imageRef is the runtime's reference of images.
	imageRef string

	mu    sync.Mutex
	asked map[string]int // how often a method was called

	cri.UnimplementedRuntimeServiceServer
}

const (
	playedPod     = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	playedPodInfo = `{"pid": 4321, "processStatus": "running", "image": "example.org/pause:3", "config": {"pid": 5}}`
	playedByName  = "example.org/team/busy@" + containertest.PlayedDigest
)

func (p *playedCRI) register(s *grpc.Server) {
	p.mu.Lock()
	if p.asked == nil { // a call of the server before a restart may still be ending
		p.asked = make(map[string]int)
	}
	p.mu.Unlock()
	cri.RegisterRuntimeServiceServer(s, p)
	cri.RegisterImageServiceServer(s, playedCRIImages{p: p})
}

func (p *playedCRI) count(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[method]++
}

func (p *playedCRI) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "played", RuntimeVersion: "v1", RuntimeApiVersion: "v1"}, nil
}

// kubelet returns labels together with those that the kubelet gives.
func kubelet(others map[string]string) map[string]string {
	all := map[string]string{
		"io.kubernetes.pod.name": "label-pod", "io.kubernetes.pod.namespace": "label-namespace", "io.kubernetes.pod.uid": "label-uid",
		"io.kubernetes.container.name": "label-name",
	}
	maps.Copy(all, others)
	return all
}

func (p *playedCRI) ListPodSandbox(_ context.Context, r *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	answer := &cri.ListPodSandboxResponse{}
	if id := r.Filter.GetId(); strings.HasPrefix(playedPod, id) {
		answer.Items = append(answer.Items, &cri.PodSandbox{
			Id: playedPod, Metadata: &cri.PodSandboxMetadata{Name: "shop-1", Uid: "uid-1", Namespace: "shop", Attempt: 3},
			State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: 1, Labels: kubelet(map[string]string{"app": "shop"}),
		})
	}
	return answer, nil
}

func (p *playedCRI) PodSandboxStatus(ctx context.Context, r *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	if r.PodSandboxId != playedPod || !r.Verbose {
		return nil, status.Error(codes.NotFound, "no sandbox")
	}
	if p.sandboxInfo == "" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &cri.PodSandboxStatusResponse{
		Status: &cri.PodSandboxStatus{Id: playedPod, State: cri.PodSandboxState_SANDBOX_READY},
		Info:   map[string]string{"other": "x", "info": p.sandboxInfo},
	}, nil
}

func criState(c *containertest.PlayedContainer) cri.ContainerState {
	return [...]cri.ContainerState{
		cri.ContainerState_CONTAINER_CREATED, cri.ContainerState_CONTAINER_RUNNING, cri.ContainerState_CONTAINER_RUNNING, cri.ContainerState_CONTAINER_EXITED,
	}[c.State]
}

func (p *playedCRI) ListContainers(_ context.Context, r *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	answer := &cri.ListContainersResponse{}
	for _, c := range p.played.All() {
		if !strings.HasPrefix(c.ID, r.Filter.GetId()) || r.Filter.GetState() != nil && r.Filter.State.State != criState(&c) {
			continue
		}
		answer.Containers = append(answer.Containers, &cri.Container{
			Id: c.ID, PodSandboxId: playedPod, Metadata: &cri.ContainerMetadata{Name: c.Name, Attempt: 2},
			Image: &cri.ImageSpec{Image: "sha256:1234"}, ImageRef: "sha256:1234", State: criState(&c), CreatedAt: 1, Labels: kubelet(c.Labels),
			Annotations: map[string]string{"io.kubernetes.container.hash": "abcd"},
		})
	}
	return answer, nil
}

func (p *playedCRI) ContainerStatus(_ context.Context, r *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	for _, c := range p.played.All() {
		if c.ID != r.ContainerId {
			continue
		}
		answer := &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{
			Id: c.ID, Metadata: &cri.ContainerMetadata{Name: c.Name}, State: criState(&c), CreatedAt: 1,
			Image: &cri.ImageSpec{Image: c.Image, UserSpecifiedImage: "busy"}, ImageRef: p.imageRef, Labels: kubelet(c.Labels), LogPath: "/dev/null",
		}}
		pid := c.PID
		switch c.State {
		case containertest.Running, containertest.Paused:
			answer.Status.StartedAt = c.StartedAt.UnixNano()
		case containertest.Ended:
			answer.Status.StartedAt, answer.Status.FinishedAt, pid = 1, 2, 77 // the PID that it had
		}
		if r.Verbose {
			answer.Info = map[string]string{"info": fmt.Sprintf(`{"sandboxID": %q, "pid": %d, "runtimeSpec": {"pid": 1}}`, playedPod, pid)}
		}
		return answer, nil
	}
	return nil, status.Errorf(codes.NotFound, "no container %s", r.ContainerId)
}

// GetContainerEvents begins some time after the call, as CRI-O may.
func (p *playedCRI) GetContainerEvents(_ *cri.GetEventsRequest, stream cri.RuntimeService_GetContainerEventsServer) error {
	p.count("GetContainerEvents")
	if !p.events {
		return nil // CRI-O without enable_pod_events
	}
	time.Sleep(p.delay)
	p.played.Follow(stream.Context(), time.Now(), func(c containertest.PlayedChange) {
		kinds := []cri.ContainerEventType{cri.ContainerEventType_CONTAINER_STARTED_EVENT}
		switch {
		case c.Created:
			kinds[0] = cri.ContainerEventType_CONTAINER_CREATED_EVENT
		case c.Ended:
			kinds = []cri.ContainerEventType{cri.ContainerEventType_CONTAINER_STOPPED_EVENT, cri.ContainerEventType_CONTAINER_DELETED_EVENT}
		}
		for _, kind := range kinds {
			_ = stream.Send(&cri.ContainerEventResponse{
				ContainerId: c.ID, ContainerEventType: kind, CreatedAt: c.At.UnixNano(), PodSandboxStatus: &cri.PodSandboxStatus{Id: playedPod},
			})
		}
	})
	return stream.Context().Err()
}

type playedCRIImages struct {
	p *playedCRI
	cri.UnimplementedImageServiceServer
}

func (s playedCRIImages) ImageStatus(_ context.Context, r *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	s.p.count("ImageStatus")
	switch r.Image.GetImage() {
	case containertest.PlayedImageID:
		return &cri.ImageStatusResponse{Image: &cri.Image{
			Id: containertest.PlayedImageID, RepoTags: []string{containertest.PlayedImage}, RepoDigests: []string{playedByName, "elsewhere@sha256:0000"},
		}}, nil
	case "example.org/pause:3":
		return &cri.ImageStatusResponse{Image: &cri.Image{Id: "sha256:1111", RepoDigests: []string{"example.org/pause@sha256:2222"}}}, nil
	}
	return &cri.ImageStatusResponse{}, nil // the runtime does not have the image
}

// playCRI plays a runtime with the interface and other services.
func playCRI(t testing.TB, name string, p *playedCRI, others ...func(*grpc.Server)) containertest.Neighbour {
	t.Helper()
	s := serveGRPC(t, p.played, func(s *grpc.Server) {
		p.register(s)
		for _, register := range others {
			register(s)
		}
	})
	n := p.played.Neighbour(s.socket, s.restart(t))
	says := n.Says
	n.Says = func(t testing.TB, id string) container.Identity {
		said := says(t, id)
		said.Runtime = name
		said.Pod = container.Pod{Namespace: "shop", Name: "shop-1", UID: "uid-1", Container: said.Name, Labels: map[string]string{"app": "shop"}}
		return said
	}
	return n
}

func TestCRIOContract(t *testing.T) {
	containertest.Runtime(t, containertest.Case{
		New: func(socket string) container.Runtime { return NewCRI(socket, "cri-o") },
		Neighbour: func(t testing.TB) containertest.Neighbour {
			p := &playedCRI{played: containertest.NewPlayed("cri-o"), events: true, delay: time.Millisecond, sandboxInfo: `{"runtimeSpec": {}}`, imageRef: containertest.PlayedImageID}
			return playCRI(t, "cri-o", p)
		},
		Wrong: wrongGRPC(),
	})
}

func TestCRIOfContainerdContract(t *testing.T) {
	containertest.Runtime(t, containertest.Case{
		New: func(socket string) container.Runtime { return NewCRI(socket, "containerd") },
		Neighbour: func(t testing.TB) containertest.Neighbour {
			played := containertest.NewPlayed("containerd")
			p := &playedCRI{played: played, sandboxInfo: playedPodInfo, imageRef: playedByName}
			n := playCRI(t, "containerd", p, (&playedContainerd{played: played, namespace: "k8s.io"}).register)
			t.Cleanup(func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.asked["GetContainerEvents"] > 0 {
					t.Error("gizmo took the kubelet's events")
				}
			})
			return n
		},
		Wrong: wrongGRPC(),
	})
}

// client returns a client for a runtime that plays the interface.
func (p *playedCRI) client(t *testing.T, name string) (*CRI, containertest.Neighbour) {
	t.Helper()
	p.played = containertest.NewPlayed(name)
	n := playCRI(t, name, p)
	c := NewCRI(n.Socket, name)
	t.Cleanup(func() { _ = c.Close() })
	return c, n
}

func TestCRISandbox(t *testing.T) {
	t.Parallel()
	want := container.Identity{
		Runtime: "containerd", ID: playedPod, Name: "shop-1", Image: "example.org/pause:3", ImageDigest: "sha256:2222", PID: 4321,
		Pod: container.Pod{Namespace: "shop", Name: "shop-1", UID: "uid-1", Labels: map[string]string{"app": "shop"}, Sandbox: true},
	}
	unreadable := want
	unreadable.PID, unreadable.Image, unreadable.ImageDigest = 0, "", ""
	for _, c := range []struct {
		what, info string
		want       *container.Identity // nil: it is not listed
	}{
		{"it runs", playedPodInfo, &want},
		{"its shim is busy", "", &unreadable},
		{"CRI-O without a process for it", `{"runtimeSpec": {}}`, nil},
		{"its process has ended", `{"pid": 0}`, nil},
		{"no such process", `{"pid": -1}`, nil},
		{"a number that is too large", `{"pid": 4194305}`, nil},
		{"not an object", `"text"`, nil},
		{"no JSON", `{"pid": 12`, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			client, _ := (&playedCRI{sandboxInfo: c.info}).client(t, "containerd")
			list, err := client.List(within(t))
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.Get(within(t), playedPod)
			if c.want == nil {
				if len(list) != 0 || !errors.Is(err, container.ErrUnknown) {
					t.Errorf("List returned %+v, Get %v", list, err)
				}
				return
			}
			if len(list) != 1 {
				t.Fatalf("List returned %d containers", len(list))
			}
			for _, id := range []container.Identity{list[0], got} {
				if fmt.Sprint(id) != fmt.Sprint(*c.want) {
					t.Errorf("got\n\t%+v\nwant\n\t%+v", id, *c.want)
				}
			}
		})
	}
}

func TestCRIDigest(t *testing.T) {
	t.Parallel()
	const hex = "4444444444444444444444444444444444444444444444444444444444444444"
	for _, c := range []struct {
		image *cri.Image
		want  string
	}{
		{&cri.Image{Id: "sha256:" + hex, RepoTags: []string{"a@b"}, RepoDigests: []string{"a@sha256:1", "b@sha256:2"}}, "sha256:1"},
		{&cri.Image{Id: "sha256:" + hex}, "sha256:" + hex},
		{&cri.Image{Id: hex}, "sha256:" + hex},
		{&cri.Image{Id: "other"}, "other"},
		{&cri.Image{}, ""},
	} {
		message, err := proto.Marshal(c.image)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readDigest(message); got != c.want || err != nil {
			t.Errorf("%v: got %q, %v", c.image, got, err)
		}
	}
}

// The client asks for the digest of an image once.
func TestCRIAsksForAnImageOnce(t *testing.T) {
	t.Parallel()
	p := &playedCRI{sandboxInfo: `{}`, imageRef: containertest.PlayedImageID}
	client, n := p.client(t, "cri-o")
	for range 3 {
		n.Start(t, n.Create(t, containertest.Wanted{Name: "one"}))
	}
	if _, err := client.List(within(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		list, err := client.List(within(t))
		if err != nil || len(list) != 3 || list[0].ImageDigest != containertest.PlayedDigest {
			t.Fatalf("got %+v, %v", list, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked := p.asked["ImageStatus"]; asked == 0 || asked > 3 {
		t.Errorf("the client asked for one image %d times", asked)
	}
}

// Without events, Watch waits for the loss of the connection.
func TestCRIWithoutEvents(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cri-o", "containerd"} {
		client, n := (&playedCRI{sandboxInfo: `{}`}).client(t, name)
		for _, why := range []error{context.Canceled, errLost} {
			ctx, cancel := context.WithCancel(context.Background())
			ready, done := make(chan bool, 10), make(chan error)
			go func() {
				done <- client.Watch(ctx, func() { ready <- true }, func(c container.Change) { t.Errorf("%+v", c) })
			}()
			select {
			case <-ready:
			case err := <-done:
				t.Fatalf("%s: Watch returned %v before it was ready", name, err)
			}
			select {
			case err := <-done:
				t.Fatalf("%s: Watch returned %v", name, err)
			case <-time.After(50 * time.Millisecond):
			}
			if why == errLost {
				n.Restart(t)
			} else {
				cancel()
			}
			if err := <-done; !errors.Is(err, why) {
				t.Errorf("%s: Watch returned %v, want %v", name, err, why)
			}
			cancel()
			if len(ready) > 0 {
				t.Errorf("%s: ready was called twice", name)
			}
		}
	}
}

// Watch reports each change from before the runtime began to send events, once.
func TestCRIOBeginsLate(t *testing.T) {
	t.Parallel()
	client, n := (&playedCRI{events: true, delay: 10 * beginning, sandboxInfo: `{}`}).client(t, "cri-o")
	ended, started := n.Create(t, containertest.Wanted{Name: "ended"}), n.Create(t, containertest.Wanted{Name: "started"})
	n.Start(t, ended)
	ctx, cancel := context.WithCancel(within(t))
	changes, done := make(chan container.Change, 10), make(chan error, 1)
	go func() {
		done <- client.Watch(ctx, func() {
			n.End(t, ended)
			n.Start(t, started)
		}, func(c container.Change) { changes <- c })
	}()
	next := func() (c container.Change) {
		select {
		case c = <-changes:
		case err := <-done:
			t.Fatalf("Watch returned %v too early", err)
		}
		return c
	}
	got := map[container.Change]bool{next(): true, next(): true}
	if want := map[container.Change]bool{{ID: ended, Ended: true}: true, {ID: started}: true}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	n.End(t, started)
	if c := next(); c.ID != started || !c.Ended {
		t.Errorf("got %v", c)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || len(changes) > 0 {
		t.Errorf("Watch returned %v, and reported %d more changes", err, len(changes))
	}
}

func TestCRIChanges(t *testing.T) {
	t.Parallel()
	start := func(id string) container.Change { return container.Change{ID: id} }
	end := func(id string) container.Change { return container.Change{ID: id, Ended: true} }
	seen := criChanges{told: make(map[container.Change]bool)}
	for _, c := range []container.Change{start("told"), start("short"), end("short"), end("old-told")} {
		if !seen.add(c) || seen.add(c) {
			t.Errorf("%+v is new once", c)
		}
	}
	seen.before = map[string]bool{"old": true, "old-told": true, "old-missed": true}
	missed := make(map[container.Change]bool)
	for _, c := range seen.compare(map[string]bool{"told": true, "old": true, "missed": true}) {
		missed[c] = true
	}
	if want := map[container.Change]bool{start("missed"): true, end("old-missed"): true}; !maps.Equal(missed, want) {
		t.Errorf("missed %v, want %v", missed, want)
	}
	for c, isNew := range map[container.Change]bool{start("missed"): false, end("old-missed"): false, end("missed"): true, start("later"): true, end("told"): true} {
		if got := seen.add(c); got != isNew {
			t.Errorf("%+v is new: %v", c, got)
		}
	}
}
