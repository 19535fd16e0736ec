// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// CRI asks a runtime of Kubernetes through the Container Runtime Interface, version runtime.v1.
type CRI struct {
	client *grpcClient
	name   string
	images imageDigests
}

// NewCRI returns a client for the runtime that listens at a socket. name is the name of the runtime: "containerd" or
// "cri-o". The first call connects. If the server does not have the interface, errors wrap errors.ErrUnsupported.
func NewCRI(socket, name string) *CRI { return &CRI{client: newGRPCClient(socket), name: name} }

// Name implements container.Runtime.
func (c *CRI) Name() string { return c.name }

// Rank implements container.Runtime.
func (c *CRI) Rank() int { return container.RankPods }

// Socket implements container.Runtime.
func (c *CRI) Socket() string { return c.client.socket }

// Close implements container.Runtime.
func (c *CRI) Close() error { return c.client.Close() }

const (
	criService      = "runtime.v1.RuntimeService/"
	criImageService = "runtime.v1.ImageService/"
)

// States of containers and sandboxes.
const (
	containerCreated = 0
	containerRunning = 1
	sandboxReady     = 0
)

// List implements container.Runtime. It lists the sandboxes, too. A sandbox has no PID if its shim does not answer.
func (c *CRI) List(ctx context.Context) ([]container.Identity, error) {
	sandboxes, containers, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	pods := make(map[string]*criObject, len(sandboxes))
	for i := range sandboxes {
		pods[sandboxes[i].id] = &sandboxes[i]
	}
	all := make([]container.Identity, len(sandboxes)+len(containers))
	failed := make([]error, len(all))
	inParallel(len(all), func(i int) {
		if i < len(sandboxes) {
			all[i], failed[i] = c.sandbox(ctx, &sandboxes[i])
			return
		}
		o := &containers[i-len(sandboxes)]
		all[i], failed[i] = c.container(ctx, o, pods[o.pod])
	})
	if ctx.Err() != nil {
		return nil, c.client.Explain(ctx, ctx.Err())
	}
	return known(all, failed)
}

// known returns the identities without those of containers that ended meanwhile. If the runtime failed to answer about a
// container, its identity has only what the lists say. If it failed to answer about all, known returns the first error.
func known(all []container.Identity, failed []error) ([]container.Identity, error) {
	var list []container.Identity
	var bad error
	good := false
	for i, err := range failed {
		switch {
		case err == nil:
			good = true
		case errors.Is(err, container.ErrUnknown):
			continue
		case bad == nil:
			bad = err
		}
		list = append(list, all[i])
	}
	if bad != nil && !good {
		return nil, bad
	}
	return list, nil
}

// Get implements container.Runtime. It does not wait for a container that is being started. The interface does not know a
// sandbox before it has started.
func (c *CRI) Get(ctx context.Context, id string) (container.Identity, error) {
	if !canBeID(id) {
		return container.Identity{}, noSuch(id)
	}
	containers, err := c.listContainers(ctx, appendText(nil, 1, id))
	if err != nil {
		return container.Identity{}, err
	}
	for i := range containers {
		if containers[i].id != id { // runtimes accept short ids, too
			continue
		}
		pods, err := c.listSandboxes(ctx, appendText(nil, 1, containers[i].pod))
		if err != nil {
			return container.Identity{}, err
		}
		var pod *criObject
		if len(pods) > 0 {
			pod = &pods[0]
		}
		return c.container(ctx, &containers[i], pod)
	}
	sandboxes, err := c.listSandboxes(ctx, appendText(nil, 1, id))
	if err != nil {
		return container.Identity{}, err
	}
	for i := range sandboxes {
		if sandboxes[i].id == id {
			return c.sandbox(ctx, &sandboxes[i])
		}
	}
	return container.Identity{}, noSuch(id)
}

// running lists the sandboxes and the containers that run.
func (c *CRI) running(ctx context.Context) (sandboxes, containers []criObject, err error) {
	if sandboxes, err = c.listSandboxes(ctx, appendMessage(nil, 2, appendState(sandboxReady))); err != nil {
		return nil, nil, err
	}
	containers, err = c.listContainers(ctx, appendMessage(nil, 2, appendState(containerRunning)))
	return sandboxes, containers, err
}

// criObject is a container or a sandbox, as lists and status have it.
type criObject struct {
	id, pod        string // pod: the id of the sandbox
	name           string
	uid, namespace string // of a sandbox
	state          uint64
	started        time.Time
	image, ref     string // the image's name, and its id or digest in the runtime
	pairs          pairs
	labels         map[string]string
}

// readObject reads an object. read reads one of its fields: their numbers differ between the messages.
func readObject(message []byte, read func(*criObject, field) error) (o criObject, err error) {
	for f, err := range fields(message) {
		if err == nil {
			err = read(&o, f)
		}
		if err != nil {
			return o, err
		}
	}
	o.labels, o.pairs = o.pairs.labels(), nil
	if o.id == "" {
		return o, errNoID
	}
	return o, nil
}

// metadata reads the metadata of a container, which has only a name and a number, or of a sandbox.
func (o *criObject) metadata(message []byte) error {
	for f, err := range fields(message) {
		if err != nil {
			return err
		}
		switch f.number {
		case 1:
			o.name = f.text()
		case 2:
			o.uid = f.text()
		case 3:
			o.namespace = f.text()
		}
	}
	return nil
}

// imageName reads the name in an ImageSpec.
func imageName(message []byte) (name string, err error) {
	for f, err := range fields(message) {
		if err != nil {
			return "", err
		}
		if f.number == 1 {
			name = f.text()
		}
	}
	return name, nil
}

// container reads a field of a Container.
func (o *criObject) container(f field) (err error) {
	switch f.number {
	case 1:
		o.id = f.id()
	case 2:
		o.pod = f.id()
	case 3:
		err = o.metadata(f.bytes)
	case 4:
		o.image, err = imageName(f.bytes)
	case 5:
		o.ref = f.text()
	case 6:
		o.state = f.value
	case 8:
		err = o.pairs.add(f.bytes)
	}
	return err
}

// sandbox reads a field of a PodSandbox.
func (o *criObject) sandbox(f field) (err error) {
	switch f.number {
	case 1:
		o.id = f.id()
	case 2:
		err = o.metadata(f.bytes)
	case 3:
		o.state = f.value
	case 5:
		err = o.pairs.add(f.bytes)
	}
	return err
}

// status reads a field of a ContainerStatus, if lists lack it.
func (o *criObject) status(f field) (err error) {
	switch f.number {
	case 1:
		o.id = f.id()
	case 3:
		o.state = f.value
	case 5:
		o.started = f.time()
	case 8:
		o.image, err = imageName(f.bytes)
	case 9:
		o.ref = f.text()
	}
	return err
}

func appendState(state uint64) []byte { return appendNumber(nil, 1, state) }

// listContainers returns the containers that match a ContainerFilter.
func (c *CRI) listContainers(ctx context.Context, filter []byte) ([]criObject, error) {
	return c.list(ctx, "ListContainers", filter, (*criObject).container)
}

// listSandboxes returns the sandboxes that match a PodSandboxFilter.
func (c *CRI) listSandboxes(ctx context.Context, filter []byte) ([]criObject, error) {
	return c.list(ctx, "ListPodSandbox", filter, (*criObject).sandbox)
}

func (c *CRI) list(ctx context.Context, name string, filter []byte, read func(*criObject, field) error) ([]criObject, error) {
	answer, err := c.client.call(ctx, method{name: criService + name}, appendMessage(nil, 1, filter), maxList)
	if err != nil {
		return nil, err
	}
	var all []criObject
	err = eachMessage(answer, 1, func(message []byte) error {
		o, err := readObject(message, read)
		if all = append(all, o); len(all) > maxObjects {
			err = errTooMany
		}
		return err
	})
	if err != nil {
		return nil, c.client.Explain(ctx, err)
	}
	return all, nil
}

// container returns the identity of a container in a list. pod is its sandbox; nil if the runtime lists none. With an error,
// the identity has what the lists say.
func (c *CRI) container(ctx context.Context, o, pod *criObject) (container.Identity, error) {
	id := container.Identity{Runtime: c.name, ID: o.id, Image: o.image}
	identifyPod(&id, false, o.labels)
	id.Name, id.Pod.Container = o.name, o.name
	if pod != nil {
		id.Pod.Namespace, id.Pod.Name, id.Pod.UID, id.Pod.Labels = pod.namespace, pod.name, pod.uid, withoutKubelet(pod.labels)
	}
	answer, err := c.status(ctx, "ContainerStatus", o.id)
	if err != nil {
		return id, err
	}
	message, err := messageIn(answer, 1)
	if err != nil {
		return id, c.client.Explain(ctx, err)
	}
	status, err := readObject(message, (*criObject).status)
	if err != nil {
		return id, c.client.Explain(ctx, err)
	}
	id.Image = status.image
	if status.state == containerRunning {
		id.PID, id.StartedAt = readInfo(answer).pid(), status.started
	}
	id.ImageDigest, err = c.digest(ctx, status.ref)
	return id, err
}

// sandbox returns the identity of a sandbox in a list. It has no PID if its shim does not answer in time, for example
// while the shim starts another container of the pod. The error wraps ErrUnknown if the sandbox has no process, as most of CRI-O's.
func (c *CRI) sandbox(ctx context.Context, o *criObject) (container.Identity, error) {
	id := container.Identity{Runtime: c.name, ID: o.id, Name: o.name, Pod: container.Pod{
		Namespace: o.namespace, Name: o.name, UID: o.uid, Labels: withoutKubelet(o.labels), Sandbox: true,
	}}
	brief, cancel := patient(ctx)
	defer cancel()
	answer, err := c.status(brief, "PodSandboxStatus", o.id)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	info := readInfo(answer)
	id.PID, id.Image = info.pid(), clip(info.Image)
	if id.PID == 0 && o.state == sandboxReady {
		return id, noSuch(o.id)
	}
	id.ImageDigest, err = c.digest(ctx, id.Image)
	return id, err
}

// status returns the status of a container or sandbox, with the texts that the runtime adds for debugging: only these have
// the ids of processes.
func (c *CRI) status(ctx context.Context, name, id string) ([]byte, error) {
	answer, err := c.client.call(ctx, method{name: criService + name}, appendNumber(appendText(nil, 1, id), 2, 1), maxObject)
	if hasCode(err, codeNotFound) {
		return nil, noSuch(id)
	}
	return answer, err
}

// criInfo is the part that gizmo reads of the texts that containerd and CRI-O add to a status.
type criInfo struct {
	Pid   int64  `json:"pid"`
	Image string `json:"image"` // of a sandbox
}

func (i criInfo) pid() int { return validPID(uint64(i.Pid)) }

// readInfo reads the texts that a runtime adds to a status. They are not part of the interface, so a text that gizmo cannot
// read is no error.
func readInfo(status []byte) (info criInfo) {
	_ = eachMessage(status, 2, func(message []byte) error {
		key, value, err := entry(message)
		if err == nil && string(key.bytes) == "info" {
			_ = json.Unmarshal(value.bytes, &info)
		}
		return err
	})
	return info
}

// digest returns the digest of an image: the one in "NAME@sha256:…", otherwise the one that the runtime knows. An image
// that is in no registry has only an id, the digest of its configuration.
func (c *CRI) digest(ctx context.Context, ref string) (string, error) {
	if _, digest, found := strings.Cut(ref, "@"); found || ref == "" {
		return digest, nil
	}
	return c.images.of(ref, func() (string, error) {
		request := appendMessage(nil, 1, appendText(nil, 1, ref))
		answer, err := c.client.call(ctx, method{name: criImageService + "ImageStatus"}, request, maxObject)
		if isRefused(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		image, err := messageIn(answer, 1)
		if err != nil {
			return "", c.client.Explain(ctx, err)
		}
		digest, err := readDigest(image)
		if err != nil {
			return "", c.client.Explain(ctx, err)
		}
		return digest, nil
	})
}

// readDigest reads the first digest of an Image, or its id if it has none. CRI-O leaves the algorithm out of the id.
func readDigest(message []byte) (string, error) {
	var id, digest string
	for f, err := range fields(message) {
		switch {
		case err != nil:
			return "", err
		case f.number == 1:
			id = f.text()
		case f.number == 3 && digest == "":
			_, digest, _ = strings.Cut(f.text(), "@")
		}
	}
	if isID(id) {
		id = "sha256:" + id
	}
	return cmp.Or(digest, id), nil
}
