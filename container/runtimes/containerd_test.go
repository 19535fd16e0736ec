// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// playedContainerd answers as containerd does. All containers are in one namespace.
type playedContainerd struct {
	played    *containertest.Played
	namespace string
	mute      bool // it does not forward events that clients publish
	refuses   bool // it refuses to publish events

	mu        sync.Mutex
	published map[chan *types.Envelope]bool

	namespacesapi.UnimplementedNamespacesServer
}

func (p *playedContainerd) register(s *grpc.Server) {
	p.mu.Lock()
	if p.published == nil { // a call of the server before a restart may still be ending
		p.published = make(map[chan *types.Envelope]bool)
	}
	p.mu.Unlock()
	namespacesapi.RegisterNamespacesServer(s, p)
	imagesapi.RegisterImagesServer(s, playedImages{})
	containersapi.RegisterContainersServer(s, playedContainers{p: p})
	tasksapi.RegisterTasksServer(s, playedTasks{p: p})
	eventsapi.RegisterEventsServer(s, playedEvents{p: p})
}

func (p *playedContainerd) List(context.Context, *namespacesapi.ListNamespacesRequest) (*namespacesapi.ListNamespacesResponse, error) {
	return &namespacesapi.ListNamespacesResponse{Namespaces: []*namespacesapi.Namespace{{Name: "empty"}, {Name: p.namespace}}}, nil
}

// in returns the containers of the namespace that a call is about.
func (p *playedContainerd) in(ctx context.Context) []containertest.PlayedContainer {
	md, _ := metadata.FromIncomingContext(ctx)
	if !slices.Contains(md.Get("containerd-namespace"), p.namespace) {
		return nil
	}
	return p.played.All()
}

func (p *playedContainerd) find(ctx context.Context, id string) (containertest.PlayedContainer, error) {
	for _, c := range p.in(ctx) {
		if c.ID == id {
			return c, nil
		}
	}
	return containertest.PlayedContainer{}, status.Errorf(codes.NotFound, "container %q: not found", id)
}

type playedContainers struct {
	p *playedContainerd
	containersapi.UnimplementedContainersServer
}

// message returns a container as containerd sends it, with a configuration, which gizmo does not need.
func (s playedContainers) message(c *containertest.PlayedContainer) *containersapi.Container {
	return &containersapi.Container{
		ID: c.ID, Labels: c.Labels, Image: c.Image, Runtime: &containersapi.Container_Runtime{Name: "io.containerd.runc.v2"},
		Spec: &anypb.Any{TypeUrl: "spec", Value: make([]byte, 10<<10)}, CreatedAt: timestamppb.Now(), Snapshotter: "overlayfs",
	}
}

func (s playedContainers) Get(ctx context.Context, r *containersapi.GetContainerRequest) (*containersapi.GetContainerResponse, error) {
	c, err := s.p.find(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return &containersapi.GetContainerResponse{Container: s.message(&c)}, nil
}

func (s playedContainers) ListStream(_ *containersapi.ListContainersRequest, stream containersapi.Containers_ListStreamServer) error {
	for _, c := range s.p.in(stream.Context()) {
		if err := stream.Send(&containersapi.ListContainerMessage{Container: s.message(&c)}); err != nil {
			return err
		}
	}
	return nil
}

type playedTasks struct {
	p *playedContainerd
	tasksapi.UnimplementedTasksServer
}

func (s playedTasks) Get(ctx context.Context, r *tasksapi.GetRequest) (*tasksapi.GetResponse, error) {
	c, err := s.p.find(ctx, r.ContainerID)
	if err != nil {
		return nil, err
	}
	if c.Locked { // its shim does not answer
		select {
		case <-c.Unlocked:
			c, err = s.p.find(ctx, r.ContainerID)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	state, ok := map[containertest.PlayedState]task.Status{
		containertest.Running: task.Status_RUNNING, containertest.Paused: task.Status_PAUSED, containertest.Ended: task.Status_STOPPED,
	}[c.State]
	if err != nil || !ok {
		return nil, status.Error(codes.NotFound, "no task")
	}
	pid := uint32(c.PID)
	if c.State == containertest.Ended {
		pid = 77 // containerd still reports the PID of an ended container
	}
	return &tasksapi.GetResponse{Process: &task.Process{ID: c.ID, Pid: pid, Status: state}}, nil
}

type playedImages struct {
	imagesapi.UnimplementedImagesServer
}

func playedImage() *imagesapi.Image {
	return &imagesapi.Image{Name: containertest.PlayedImage, Labels: map[string]string{"a": "b"}, Target: &types.Descriptor{
		MediaType: "application/vnd.oci.image.index.v1+json", Digest: containertest.PlayedDigest, Size: 1234,
	}}
}

func (playedImages) List(context.Context, *imagesapi.ListImagesRequest) (*imagesapi.ListImagesResponse, error) {
	other := &imagesapi.Image{Name: "other", Target: &types.Descriptor{Digest: "sha256:0000"}}
	return &imagesapi.ListImagesResponse{Images: []*imagesapi.Image{other, playedImage()}}, nil
}

func (playedImages) Get(_ context.Context, r *imagesapi.GetImageRequest) (*imagesapi.GetImageResponse, error) {
	if r.Name != containertest.PlayedImage {
		return nil, status.Error(codes.NotFound, "no image")
	}
	return &imagesapi.GetImageResponse{Image: playedImage()}, nil
}

type playedEvents struct {
	p *playedContainerd
	eventsapi.UnimplementedEventsServer
}

func (s playedEvents) Publish(_ context.Context, r *eventsapi.PublishRequest) (*emptypb.Empty, error) {
	if s.p.refuses {
		return nil, status.Error(codes.PermissionDenied, "no")
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for to := range s.p.published {
		if !s.p.mute {
			to <- &types.Envelope{Timestamp: timestamppb.Now(), Namespace: "gizmo", Topic: r.Topic, Event: r.Event}
		}
	}
	return &emptypb.Empty{}, nil
}

// Subscribe begins some time after the call, as containerd may.
func (s playedEvents) Subscribe(r *eventsapi.SubscribeRequest, stream eventsapi.Events_SubscribeServer) error {
	time.Sleep(time.Millisecond)
	var mu sync.Mutex
	send := func(e *types.Envelope) {
		if !passes(e, r.Filters) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		_ = stream.Send(e)
	}
	published := make(chan *types.Envelope, 100)
	s.p.mu.Lock()
	s.p.published[published] = true
	since := time.Now()
	s.p.mu.Unlock()
	defer func() {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		delete(s.p.published, published)
	}()
	ctx, cancel := context.WithCancel(stream.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		for {
			select {
			case e := <-published:
				send(e)
			case <-ctx.Done():
				return
			}
		}
	})
	s.p.played.Follow(ctx, since, func(c containertest.PlayedChange) {
		for _, e := range s.p.envelopes(&c) {
			send(e)
		}
	})
	return ctx.Err()
}

// envelopes are the events that containerd sends for a change.
func (p *playedContainerd) envelopes(c *containertest.PlayedChange) []*types.Envelope {
	event := func(topic string, m proto.Message) *types.Envelope {
		payload, _ := anypb.New(m)
		return &types.Envelope{Timestamp: timestamppb.New(c.At), Namespace: p.namespace, Topic: topic, Event: payload}
	}
	exec := event("/tasks/exit", &eventtypes.TaskExit{ContainerID: c.ID, ID: "exec-1", Pid: 99})
	switch {
	case c.Created:
		return []*types.Envelope{event("/containers/create", &eventtypes.ContainerCreate{ID: c.ID, Image: c.Container.Image})}
	case c.Ended:
		return []*types.Envelope{exec, event("/tasks/exit", &eventtypes.TaskExit{ContainerID: c.ID, ID: c.ID, Pid: 1}),
			event("/tasks/delete", &eventtypes.TaskDelete{ContainerID: c.ID, Pid: 1})}
	default:
		return []*types.Envelope{event("/tasks/create", &eventtypes.TaskCreate{ContainerID: c.ID, Pid: uint32(c.Container.PID)}),
			event("/tasks/start", &eventtypes.TaskStart{ContainerID: c.ID, Pid: uint32(c.Container.PID)})}
	}
}

// passes reports whether an event passes filters like `topic=="/tasks/start",namespace=="k8s.io"`.
func passes(e *types.Envelope, filters []string) bool {
	return slices.ContainsFunc(filters, func(filter string) bool {
		for part := range strings.SplitSeq(filter, ",") {
			if part != `topic=="`+e.Topic+`"` && part != `namespace=="`+e.Namespace+`"` {
				return false
			}
		}
		return true
	})
}

func playContainerd(t testing.TB) containertest.Neighbour {
	t.Helper()
	played := containertest.NewPlayed("containerd")
	s := serveGRPC(t, played, (&playedContainerd{played: played, namespace: "default"}).register)
	n := played.Neighbour(s.socket, s.restart(t))
	n.AnyName = false // containers have only ids
	says := n.Says
	n.Says = func(t testing.TB, id string) container.Identity {
		said := says(t, id)
		said.Name, said.StartedAt = said.ID, time.Time{}
		return said
	}
	return n
}

func TestContainerdContract(t *testing.T) {
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return NewContainerd(socket) },
		Neighbour: playContainerd,
		Wrong:     wrongGRPC(),
		Undated:   true,
	})
}

// A container whose shim does not answer is listed without a process, one that does not run is not, and the others are listed in time.
func TestContainerdSilentShim(t *testing.T) {
	t.Parallel()
	n := playContainerd(t)
	c := NewContainerd(n.Socket)
	defer c.Close()
	n.Create(t, containertest.Wanted{Name: "never started"})
	silent := n.Create(t, containertest.Wanted{Name: "silent"})
	runs := n.Create(t, containertest.Wanted{Name: "runs"})
	n.Start(t, runs)
	finish := n.Begin(t, silent)
	pids := func() map[string]bool {
		list, err := c.List(within(t))
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]bool)
		for _, id := range list {
			found[id.ID] = id.PID != 0
		}
		return found
	}
	if got, want := pids(), map[string]bool{silent: false, runs: true}; !maps.Equal(got, want) {
		t.Errorf("has a process: %v, want %v", got, want)
	}
	finish()
	if got, want := pids(), map[string]bool{silent: true, runs: true}; !maps.Equal(got, want) {
		t.Errorf("afterwards: has a process: %v, want %v", got, want)
	}
}

// While Watch runs, Get asks no shim about a container that was in a list: the shim may be about to start it.
func TestContainerdRemembersLists(t *testing.T) {
	t.Parallel()
	n := playContainerd(t)
	c := NewContainerd(n.Socket)
	defer c.Close()
	id := n.Create(t, containertest.Wanted{Name: "created before"})
	ctx, cancel := context.WithCancel(within(t))
	isReady, ended := make(chan bool), make(chan error)
	go func() { ended <- c.Watch(ctx, func() { close(isReady) }, func(container.Change) {}) }()
	<-isReady
	if _, err := c.List(ctx); err != nil {
		t.Fatal(err)
	}
	finish := n.Begin(t, id)
	began := time.Now()
	if got, err := c.Get(ctx, id); err != nil || got.PID != 0 || time.Since(began) >= shimPatience {
		t.Errorf("Get returned process %d, %v after %v", got.PID, err, time.Since(began))
	}
	finish()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if got, err := c.Get(ctx, id); err == nil && got.PID != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the container does not run")
		}
	}
	cancel()
	<-ended
}

// Watch works if containerd does not send gizmo's event back, or refuses to publish it.
func TestContainerdWithoutSignal(t *testing.T) {
	t.Parallel()
	for what, p := range map[string]*playedContainerd{"it is not sent back": {mute: true}, "publishing is refused": {refuses: true}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p.played, p.namespace = containertest.NewPlayed("containerd"), "default"
			s := serveGRPC(t, p.played, p.register)
			n := p.played.Neighbour(s.socket, s.restart(t))
			c := NewContainerd(s.socket)
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			id := n.Create(t, containertest.Wanted{})
			err := c.Watch(ctx, func() {
				time.Sleep(50 * time.Millisecond)
				n.Start(t, id)
			}, func(c container.Change) {
				if c.ID == id {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Watch returned %v", err)
			}
		})
	}
}

// An event that names no container is an error.
func TestContainerdWrongEvents(t *testing.T) {
	t.Parallel()
	c := NewContainerd(serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/Subscribe") {
			answerWith(0, "", envelope(t, topicStart, &eventtypes.TaskStart{Pid: 1}))(w, r)
			return
		}
		answerWith(0, "", nil)(w, r)
	}))
	defer c.Close()
	err := c.Watch(within(t), func() {}, func(c container.Change) { t.Errorf("%+v", c) })
	if !errors.Is(err, errNoID) {
		t.Errorf("Watch returned %v", err)
	}
}

// listing returns a client for a server that lists containers, each in a message of its own, until the client disconnects.
func listing(t testing.TB, container func(i int) *containersapi.Container) *Containerd {
	c := NewContainerd(serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ListStream") {
			answerWith(0, "", encode(t, &namespacesapi.ListNamespacesResponse{Namespaces: []*namespacesapi.Namespace{{Name: "default"}}}))(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		for i := 0; ; i++ {
			if _, err := w.Write(frame(encode(t, &containersapi.ListContainerMessage{Container: container(i)}))); err != nil {
				return
			}
		}
	}))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// List stops reading an endless list, whether it consists of many containers or of large ones.
func TestContainerdEndlessList(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 4000)
	for what, container := range map[string]func(i int) *containersapi.Container{
		"many": func(i int) *containersapi.Container { return &containersapi.Container{ID: strconv.Itoa(i)} },
		"large": func(i int) *containersapi.Container {
			all := make(map[string]string)
			for key := range 16 {
				all[strconv.Itoa(key)] = large
			}
			return &containersapi.Container{ID: strconv.Itoa(i), Labels: all}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if _, err := listing(t, container).List(within(t)); !errors.Is(err, errTooMany) {
				t.Errorf("List returned %v", err)
			}
		})
	}
}

// Of containers with the same id in several namespaces, List and Get return the one in the first namespace.
func TestContainerdSameIDTwice(t *testing.T) {
	t.Parallel()
	c := NewContainerd(serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		of := &containersapi.Container{ID: "web", Image: "of-" + r.Header.Get("containerd-namespace")}
		service, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch service + "/" + name {
		case namespacesService + "List":
			answerWith(0, "", encode(t, &namespacesapi.ListNamespacesResponse{Namespaces: []*namespacesapi.Namespace{{Name: "b"}, {Name: "a"}}}))(w, r)
		case containersService + "ListStream":
			answerWith(0, "", encode(t, &containersapi.ListContainerMessage{Container: of}))(w, r)
		case containersService + "Get":
			answerWith(0, "", encode(t, &containersapi.GetContainerResponse{Container: of}))(w, r)
		case tasksService + "Get":
			answerWith(0, "", encode(t, &tasksapi.GetResponse{Process: &task.Process{Pid: 12, Status: task.Status_RUNNING}}))(w, r)
		default:
			answerWith(codeNotFound, "none")(w, r)
		}
	}))
	defer c.Close()
	got, err := c.Get(within(t), "web")
	if err != nil || got.Image != "of-a" || got.PID != 12 {
		t.Errorf("Get returned %+v, %v", got, err)
	}
	if list, err := c.List(within(t)); err != nil || len(list) != 1 || list[0].Image != "of-a" || list[0].PID != 12 {
		t.Errorf("List returned %+v, %v", list, err)
	}
}
