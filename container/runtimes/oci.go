// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/bundle"
)

// OCI finds the containers of an OCI runtime by its state files. They include those of runtimes that call it, if these make it keep the
// files in this folder. It is a [container.Runtime] without a daemon.
type OCI struct {
	name string
	root string // the folder of all containers
	file string // the file in each container's folder
}

// NewRunc returns a client for the containers whose state runc keeps in a folder.
func NewRunc(root string) *OCI { return &OCI{"runc", root, "state.json"} }

// NewCrun is NewRunc for crun.
func NewCrun(root string) *OCI { return &OCI{"crun", root, "status"} }

// Name implements container.Runtime.
func (o *OCI) Name() string { return o.name }

// Rank implements container.Runtime.
func (o *OCI) Rank() int { return container.RankBundle }

// Socket returns the folder, which must exist.
func (o *OCI) Socket() string { return o.root }

// Close implements container.Runtime.
func (o *OCI) Close() error { return nil }

// List implements container.Runtime.
func (o *OCI) List(ctx context.Context) (all []container.Identity, err error) {
	entries, err := os.ReadDir(o.root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if id, err := o.Get(ctx, e.Name()); err == nil && id.PID > 0 {
			all = append(all, id)
		}
	}
	return all, nil
}

// ociState has the parts of runc's state and crun's status that gizmo needs.
type ociState struct {
	Created time.Time `json:"created"`
	// InitPID and Config are runc's.
	InitPID int `json:"init_process_pid"`
	Config  struct {
		Labels []string `json:"labels"`
	} `json:"config"`
	// PID and Bundle are crun's.
	PID    int    `json:"pid"`
	Bundle string `json:"bundle"`
}

// bundle returns the container's bundle, a folder; empty if the state does not have it.
func (s *ociState) bundle() string {
	for _, label := range s.Config.Labels {
		if folder, ok := strings.CutPrefix(label, "bundle="); ok {
			return folder
		}
	}
	return s.Bundle
}

// maxState bounds a state file: runc's holds the whole configuration, of some 30 KB.
const maxState = 4 << 20

// Get implements container.Runtime.
func (o *OCI) Get(_ context.Context, id string) (found container.Identity, err error) {
	if id == "" || id != filepath.Base(id) {
		return found, fmt.Errorf("%w: %q", container.ErrUnknown, id)
	}
	f, err := os.Open(filepath.Join(o.root, id, o.file))
	if errors.Is(err, os.ErrNotExist) {
		return found, fmt.Errorf("%w: %s", container.ErrUnknown, id)
	}
	if err != nil {
		return found, err
	}
	defer f.Close()
	var state ociState
	if err := json.NewDecoder(io.LimitReader(f, maxState)).Decode(&state); err != nil {
		return found, fmt.Errorf("%s: %w", f.Name(), err)
	}
	// Without its bundle the container has no name.
	found, _ = bundle.Identity(o.name, id, state.bundle())
	found.PID, found.StartedAt = max(state.InitPID, state.PID), state.Created
	return found, nil
}

// Watch implements container.Runtime. The kernel reports changes in the folder.
func (o *OCI) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(o.root); err != nil {
		return err
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.Errors:
			return err
		case e, ok := <-w.Events:
			if !ok || e.Name == o.root && e.Has(fsnotify.Remove) {
				return fmt.Errorf("%s is gone", o.root)
			}
			o.note(w, e, changed)
		}
	}
}

// note handles a change in the folder of all containers, or in that of one container.
func (o *OCI) note(w *fsnotify.Watcher, e fsnotify.Event, changed func(container.Change)) {
	folder, name := filepath.Split(e.Name)
	switch {
	case filepath.Clean(folder) != o.root: // in a container's folder
		if name == o.file && e.Has(fsnotify.Create) { // also when it was renamed
			_ = w.Remove(filepath.Clean(folder))
			changed(container.Change{ID: filepath.Base(folder)})
		}
	case e.Has(fsnotify.Create):
		if err := w.Add(e.Name); err != nil {
			return
		}
		if _, err := os.Stat(filepath.Join(e.Name, o.file)); err == nil && slices.Contains(w.WatchList(), e.Name) {
			_ = w.Remove(e.Name)
			changed(container.Change{ID: name})
		}
	case e.Has(fsnotify.Remove):
		changed(container.Change{ID: name, Ended: true})
	}
}
