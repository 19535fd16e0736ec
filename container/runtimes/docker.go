// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Docker asks dockerd for its containers.
//
// dockerd locks a container while it starts, or while files are copied out of it. Lists come from a snapshot and never wait
// for that lock. The details of a container do, and only they have its PID and when it started.
type Docker struct {
	client *httpClient
	images imageDigests
}

// NewDocker returns a client for the dockerd that listens at a socket. The first call connects.
func NewDocker(socket string) *Docker { return &Docker{client: newHTTPClient(socket)} }

// Name implements container.Runtime.
func (d *Docker) Name() string { return "docker" }

// Rank implements container.Runtime.
func (d *Docker) Rank() int { return container.RankHigh }

// Socket implements container.Runtime.
func (d *Docker) Socket() string { return d.client.socket }

// Close implements container.Runtime.
func (d *Docker) Close() error { return d.client.Close() }

// dockerLate is the time without an answer after which a container may be locked. Most answers take less than 1 ms.
const dockerLate = 200 * time.Millisecond

// List implements container.Runtime. A locked container has neither a PID nor the time of its start.
func (d *Docker) List(ctx context.Context) ([]container.Identity, error) {
	found, err := d.list(ctx, nil, maxListing)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(c dockerContainer) bool { return !c.runs() })
	all, err := d.identify(ctx, found, found)
	if err != nil {
		return nil, err
	}
	gone := make([]bool, len(all))
	failed := make([]error, len(all))
	inParallel(len(all), func(i int) { gone[i], failed[i] = d.look(ctx, &all[i]) })
	running := all[:0]
	for i := range all {
		if !gone[i] {
			running = append(running, all[i])
		}
	}
	return running, cmp.Or(failed...)
}

// Get implements container.Runtime. A container that is being started has no PID yet.
func (d *Docker) Get(ctx context.Context, id string) (container.Identity, error) {
	found, err := d.find(ctx, id)
	if err != nil {
		return container.Identity{}, err
	}
	if found == nil {
		return container.Identity{}, noSuch(id)
	}
	var sandboxes []dockerContainer
	if sandbox := found.Labels[labelSandbox]; sandbox != "" {
		s, err := d.find(ctx, sandbox)
		if err != nil {
			return container.Identity{}, err
		}
		if s != nil {
			sandboxes = append(sandboxes, *s)
		}
	}
	all, err := d.identify(ctx, []dockerContainer{*found}, sandboxes)
	if err == nil && found.runs() {
		_, err = d.look(ctx, &all[0])
	}
	if err != nil {
		return container.Identity{}, err
	}
	return all[0], nil
}

// Watch implements container.Runtime.
func (d *Docker) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	now := time.Now()
	since := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())
	return d.client.watch(ctx, "/events", since, "start", "die", ready, changed)
}

// dockerContainer is a container in a list.
type dockerContainer struct {
	ID                    string `json:"Id"`
	Names                 []string
	Image, ImageID, State string
	Labels                map[string]string
}

// runs reports whether the container has a process. A restarting container has none yet.
func (c *dockerContainer) runs() bool { return c.State == "running" || c.State == "paused" }

// name returns the name of the container. Its other names are aliases in other containers: "/other/alias".
func (c *dockerContainer) name() string {
	for _, name := range c.Names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// list returns the running containers, or, for an id, the containers whose ids begin with it.
func (d *Docker) list(ctx context.Context, query url.Values, limit int) (found []dockerContainer, err error) {
	err = d.client.ask(ctx, "/containers/json", query, limit, func(answer *answerReader) error {
		return eachIn(answer, func(c *dockerContainer) {
			if isID(c.ID) {
				c.Labels = boundLabels(c.Labels)
				found = append(found, *c)
			}
		})
	})
	return found, err
}

// find returns the container with an id, whether or not it runs; nil if there is none.
func (d *Docker) find(ctx context.Context, id string) (*dockerContainer, error) {
	if !isID(id) {
		return nil, nil
	}
	found, err := d.list(ctx, url.Values{"all": {"true"}, "filters": {filters("id", id)}}, maxAnswer)
	for i := range found {
		if found[i].ID == id {
			return &found[i], err
		}
	}
	return nil, err
}

// identify returns identities without the PID and the time of the start. sandboxes are containers that may be sandboxes of pods.
func (d *Docker) identify(ctx context.Context, found, sandboxes []dockerContainer) ([]container.Identity, error) {
	digests, err := d.digests(ctx, found)
	if err != nil {
		return nil, err
	}
	labels := make(map[string]map[string]string)
	for _, s := range sandboxes {
		if s.Labels[labelKind] == kindSandbox {
			labels[s.ID] = s.Labels
		}
	}
	all := make([]container.Identity, len(found))
	for i := range found {
		c := &found[i]
		all[i] = container.Identity{
			Runtime: "docker", ID: c.ID, Name: clip(c.name()), Image: clip(c.Image), ImageDigest: digests[c.image()],
			Labels: c.Labels, Pod: dockerPod(c.Labels, labels[c.Labels[labelSandbox]]),
		}
	}
	return all, nil
}

// look completes an identity with the values that only the details have, and reports whether the container has ended.
func (d *Docker) look(ctx context.Context, id *container.Identity) (gone bool, err error) {
	var details struct {
		State struct {
			PID       uint64 `json:"Pid"`
			StartedAt string
		}
	}
	err = askUnlessLocked(ctx, dockerLate, func(ctx context.Context) error {
		return d.client.get(ctx, "/containers/"+id.ID+"/json", &details)
	}, func(ctx context.Context) bool {
		// A busy dockerd does not answer a later question sooner.
		_, err := d.find(ctx, id.ID)
		return err == nil
	})
	switch {
	case err == nil:
		if id.PID = validPID(details.State.PID); id.PID != 0 {
			id.StartedAt, _ = time.Parse(time.RFC3339Nano, details.State.StartedAt)
		}
		return id.PID == 0, nil
	case isNotFound(err):
		return true, nil
	case errors.Is(err, errLocked), isHTTPError(err):
		return false, nil
	}
	return false, err
}

// image returns a key that differs between images whose digests may be different.
func (c *dockerContainer) image() string { return c.ImageID + " " + c.Image }

// digests returns the digests of the images of containers.
func (d *Docker) digests(ctx context.Context, found []dockerContainer) (map[string]string, error) {
	digests := make(map[string]string)
	for i := range found {
		c := &found[i]
		if _, known := digests[c.image()]; known {
			continue
		}
		digest, err := d.images.of(c.image(), func() (string, error) { return d.digest(ctx, c) })
		if err != nil && !isHTTPError(err) {
			return nil, err
		}
		digests[c.image()] = clip(cmp.Or(digest, c.ImageID))
	}
	return digests, nil
}

// digest returns the digest under which a registry has the image of a container; empty if none is known to have it.
func (d *Docker) digest(ctx context.Context, c *dockerContainer) (string, error) {
	if _, digest, ok := strings.Cut(c.Image, "@"); ok {
		return digest, nil
	}
	var image struct{ RepoDigests []string }
	if err := d.client.get(ctx, "/images/"+c.ImageID+"/json", &image); err != nil {
		return "", err
	}
	return chooseDigest(c.Image, image.RepoDigests), nil
}

// chooseDigest returns the digest of an image in the registry of its name, otherwise in any registry. digests are like
// "nginx@sha256:…".
func chooseDigest(image string, digests []string) (chosen string) {
	repository := image
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		repository = image[:colon]
	}
	for _, d := range digests {
		name, digest, ok := strings.Cut(d, "@")
		if ok && name == repository {
			return digest
		}
		chosen = cmp.Or(chosen, digest)
	}
	return chosen
}

// The labels that Kubernetes' adapters for Docker put on containers.
const (
	labelKind    = "io.kubernetes.docker.type"
	kindSandbox  = "podsandbox"
	labelSandbox = "io.kubernetes.sandbox.id" // of the pod that a container is in
)

// dockerPod returns the pod of a container, from the container's labels. The labels of the pod are those of its sandbox.
func dockerPod(labels, sandbox map[string]string) container.Pod {
	pod := container.Pod{
		Namespace: labels["io.kubernetes.pod.namespace"],
		Name:      labels["io.kubernetes.pod.name"],
		UID:       labels["io.kubernetes.pod.uid"],
		Container: labels["io.kubernetes.container.name"],
		Sandbox:   labels[labelKind] == kindSandbox,
	}
	if pod.Sandbox {
		pod.Container, sandbox = "", labels
	}
	pod.Labels = maps.Clone(sandbox)
	maps.DeleteFunc(pod.Labels, func(key, _ string) bool {
		return strings.HasPrefix(key, "io.kubernetes.") || strings.HasPrefix(key, "annotation.")
	})
	return pod
}
