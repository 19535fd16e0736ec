// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// A Go program runs a built-in gadget with a filter, and receives values. It takes root.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	img, err := catalog.Builtin("trace_open")
	check(err)
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: img, Params: map[string]string{"failed": "true"}}},
		Events:  run.Events{Filters: map[string]string{"": "fname==/etc/no-such-file"}},
		Sinks: []pipeline.NamedSink{{Name: "values", Sink: structs.Each(func(e *struct {
			PID   int    `event:"proc.pid"`
			File  string `event:"fname"`
			Error string `event:"error"`
		}) error {
			fmt.Println(e.File, e.Error, e.PID == os.Getpid())
			cancel() // one is enough
			return nil
		})}},
	})
	check(err)
	r, err := plan.Load(ctx)
	check(err)
	defer r.Close()
	go openAgainAndAgain(ctx, "/etc/no-such-file")
	check(r.Run(ctx))
}

// The events of a recording are read in the same way, on any machine and without privileges.
func ExampleReplay() {
	file, err := os.Open("../test/e2e/testdata/recordings/trace_open.rec")
	check(err)
	defer file.Close()
	recording, err := wire.NewReader(file)
	check(err)
	r, err := run.Replay(recording, run.Options{
		Events: run.Events{Filters: map[string]string{"": "error==EISDIR"}},
		Text:   &run.Text{W: os.Stdout, Modes: "columns", Fields: "error,flags,proc.comm"},
	})
	check(err)
	defer r.Close()
	check(r.Run(context.Background()))
	// Output:
	// ERROR        FLAGS                    COMM
	// EISDIR       O_WRONLY|O_CREAT|O_TRUNC open-ways
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
