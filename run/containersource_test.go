// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// asking returns trace_open as a gadget that asks for the data source of containers with this value, and says more about data sources.
func asking(t *testing.T, value, more string) *image.Image {
	t.Helper()
	meta, err := metadata.Parse("gadget.yaml", []byte("name: asking\nannotations: {enable-containers-datasource: "+value+"}\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	img, err := builtin(t, "trace_open").WithMetadata(meta)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// A gadget that asks for it has a data source of the containers of the run. Its events are recorded, and filtered like others; as text they come
// only if the user names an output mode.
func TestContainersSource(t *testing.T) {
	kerneltest.RequireRoot(t)
	set := container.NewSet("")
	defer set.Close()
	bundle := t.TempDir()
	const config = `{"ociVersion":"1.0.2"}`
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(name string, o *opener) uint64 {
		t.Helper()
		id := container.Identity{Runtime: "docker", ID: "id-of-" + name, Name: name, PID: o.cmd.Process.Pid, Bundle: bundle}
		if err := set.Put(container.RankHigh, id); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(fmt.Sprintf("/proc/%d/ns/mnt", id.PID))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	web, db, late := startOpener(t, unix.CLONE_NEWNS), startOpener(t, unix.CLONE_NEWNS), startOpener(t, unix.CLONE_NEWNS)
	webNS := put("web", web)
	put("db", db)
	selector, err := container.NewSelector(map[string]string{"containername": "!db"})
	if err != nil {
		t.Fatal(err)
	}
	recording := filepath.Join(t.TempDir(), "recording")
	var lateNS uint64
	text := runAsking(t, run.Options{
		Gadgets:    []run.Gadget{{Image: asking(t, "true", "")}},
		Containers: &run.Containers{Set: set, Selector: selector, Host: true},
		Record:     &run.Recording{Path: recording},
		Events:     run.Events{Filters: map[string]string{"containers": "event_type!=DELETED"}},
		Text:       &run.Text{Modes: "open:none,containers:json"},
	}, func() {
		set.Announce(container.Identity{Runtime: "runc", ID: "id-of-late", Bundle: bundle})
		lateNS = put("late", late)
		set.End("id-of-web")
		set.End("id-of-db")
	})
	hostNS := set.Host().MountNS
	want := []string{
		fmt.Sprintf("CREATED   %d ", hostNS),
		fmt.Sprintf("CREATED id-of-web web %d %s", webNS, config),
		"PRECREATE id-of-late id-of-late 0 " + config,
		fmt.Sprintf("CREATED id-of-late late %d %s", lateNS, config),
	}
	if got := changesIn(t, text); !slices.Equal(got, want) {
		t.Errorf("got\n\t%q\nwant\n\t%q", got, want)
	}
	want = append(want, fmt.Sprintf("DELETED id-of-web web %d ", webNS))
	if got := changesIn(t, replayed(t, recording, "open:none,containers:json")); !slices.Equal(got, want) {
		t.Errorf("the recording has\n\t%q\nwant\n\t%q", got, want)
	}
	if got := replayed(t, recording, ""); strings.Contains(got, "id-of-web") {
		t.Errorf("without an output mode: %s", got)
	}
}

// changesIn returns the events of containers in a text of JSON.
func changesIn(t *testing.T, text string) (all []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e struct {
			Type   string `json:"event_type"`
			ID     string `json:"container_id"`
			Cgroup uint64 `json:"cgroup_id"`
			Mount  uint64 `json:"mntns_id"`
			Name   string
			Config string `json:"container_config"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if (e.Cgroup == 0) != (e.Type == "PRECREATE") {
			t.Errorf("%s: the control group is %d", line, e.Cgroup)
		}
		all = append(all, fmt.Sprint(e.Type, " ", e.ID, " ", e.Name, " ", e.Mount, " ", e.Config))
	}
	return all
}

// runAsking runs gadgets while do runs, and returns the text.
func runAsking(t *testing.T, o run.Options, do func()) string {
	t.Helper()
	var out bytes.Buffer
	attached := make(chan struct{})
	o.Text.W, o.OnAttached = &out, func() error { close(attached); return nil }
	plan, err := run.NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := plan.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-attached
	do()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return out.String()
}

// replayed returns the text of a recording.
func replayed(t *testing.T, path, modes string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	reader, err := wire.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	recording, err := run.Replay(reader, run.Options{Text: &run.Text{W: &out, Modes: modes}})
	if err != nil {
		t.Fatal(err)
	}
	if err := recording.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := recording.Close(); err != nil {
		t.Error(err)
	}
	return out.String()
}

// Which plans have the data source, and how gadget.yaml can change it.
func TestPlanContainersSource(t *testing.T) {
	t.Parallel()
	set := container.NewSet("")
	defer set.Close()
	containers := &run.Containers{Set: set}
	alone := &image.Image{Metadata: &metadata.Metadata{Name: "alone", Annotations: map[string]string{metadata.ContainersKey: "true"}}}
	for name, c := range map[string]struct {
		img        *image.Image
		containers *run.Containers
		want       string // the data sources
		err        string
	}{
		"true":               {asking(t, "true", ""), containers, "open containers", ""},
		"false":              {asking(t, "false", ""), containers, "open", ""},
		"neither":            {asking(t, "maybe", ""), containers, "", `gadget.yaml:2:15: enable-containers-datasource: "maybe" is neither true nor false`},
		"no containers":      {asking(t, "true", ""), nil, "open", ""},
		"alone":              {alone, containers, "containers", ""},
		"alone, no runtimes": {alone, nil, "", "gadget alone has no data source: nothing to show"},
		"another mode":       {asking(t, "true", "datasources: {containers: {annotations: {cli.supported-output-modes: json}}}"), containers, "open containers", ""},
		"an unknown field":   {asking(t, "true", "datasources: {containers: {fields: {nmae: {}}}}"), containers, "", `"nmae"`},
	} {
		plan, err := run.NewPlan(run.Options{Gadgets: []run.Gadget{{Image: c.img}}, Containers: c.containers, Text: &run.Text{W: new(bytes.Buffer)}})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %s", name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, s := range plan.Schemas() {
			got = append(got, s.Name)
		}
		if strings.Join(got, " ") != c.want || plan.NamesContainers() != (c.containers != nil) {
			t.Errorf("%s: %q, names containers: %v", name, got, plan.NamesContainers())
		}
	}
}
