// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures a gizmo program as a whole while one thread opens a file as fast as it
// can: what is delivered, what is lost, what it costs. It needs root and two CPUs.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	gizmo := flag.String("gizmo", "bin/gizmo", "the program to measure")
	count := flag.Int("n", 1_000_000, "opens in each round")
	rounds := flag.Int("rounds", 5, "rounds of each mode")
	modes := flag.String("modes", "json,columns,none", "output modes")
	flag.Parse()
	if err := bench(*gizmo, *count, *rounds, strings.Split(*modes, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(gizmo string, count, rounds int, modes []string) error {
	dir, err := os.MkdirTemp("", "gz")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	storm := filepath.Join(dir, "openstorm")
	if out, err := exec.Command("go", "build", "-o", storm, "./bench/openstorm").CombinedOutput(); err != nil {
		return fmt.Errorf("build openstorm: %w\n%s", err, out)
	}
	target := filepath.Join(dir, "f")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		return err
	}
	stormArgs := []string{"-n", strconv.Itoa(count), "-cpu", "0", "-path", target}
	untraced, err := exec.Command(storm, stormArgs...).Output()
	if err != nil {
		return err
	}
	fmt.Printf("untraced: %s ns an open; the path has %d bytes\n\n", bytes.TrimSpace(untraced), len(target))
	fmt.Printf("%-8s %10s %8s %12s %10s %10s %10s %10s\n", "mode", "delivered", "lost", "CPU-s/M", "peak MiB", "first ms", "exit ms", "ns/open")
	for _, mode := range modes {
		var results []result
		for range rounds {
			r, err := measure(gizmo, mode, exec.Command(storm, stormArgs...), target, count)
			if err != nil {
				return fmt.Errorf("%s: %w", mode, err)
			}
			results = append(results, r)
			r.print(mode)
		}
		median(results).print(mode + " ~")
	}
	return nil
}

// result is what one round gave.
type result struct {
	delivered, lost int
	cpu             float64 // seconds for a million events
	peak            float64 // MiB
	first, exit     float64 // ms from start to first event, from Ctrl-C to exit
	perOpen         float64 // ns, as the traced program saw it
}

func (r result) print(name string) {
	fmt.Printf("%-8s %10d %8d %12.3f %10.1f %10.0f %10.0f %10.0f\n",
		name, r.delivered, r.lost, r.cpu, r.peak, r.first, r.exit, r.perOpen)
}

// median takes the median of each figure by itself.
func median(rs []result) result {
	mid := func(get func(result) float64) float64 {
		var xs []float64
		for _, r := range rs {
			xs = append(xs, get(r))
		}
		slices.Sort(xs)
		return xs[len(xs)/2]
	}
	return result{
		delivered: int(mid(func(r result) float64 { return float64(r.delivered) })),
		lost:      int(mid(func(r result) float64 { return float64(r.lost) })),
		cpu:       mid(func(r result) float64 { return r.cpu }),
		peak:      mid(func(r result) float64 { return r.peak }),
		first:     mid(func(r result) float64 { return r.first }),
		exit:      mid(func(r result) float64 { return r.exit }),
		perOpen:   mid(func(r result) float64 { return r.perOpen }),
	}
}

// measure runs gizmo on CPU 1 and the storm, which opens target, on CPU 0.
func measure(gizmo, mode string, storm *exec.Cmd, target string, count int) (result, error) {
	var r result
	path := filepath.Join(filepath.Dir(target), "out")
	out, err := os.Create(path)
	if err != nil {
		return r, err
	}
	defer out.Close()
	var errs bytes.Buffer
	cmd := exec.Command("taskset", "-c", "1", gizmo, "run", "trace_open", "--host", "-v", "-o", mode)
	cmd.Stdout, cmd.Stderr = out, &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	if r.first, err = waitReady(cmd.Process.Pid, out, mode, start); err != nil {
		_ = cmd.Process.Kill()
		return r, errors.Join(err, cmd.Wait(), errors.New(errs.String()))
	}
	per, err := storm.Output()
	if err != nil {
		return r, err
	}
	r.perOpen, _ = strconv.ParseFloat(strings.TrimSpace(string(per)), 64)
	time.Sleep(100 * time.Millisecond)
	ctrlC := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return r, err
	}
	if err := cmd.Wait(); err != nil {
		return r, fmt.Errorf("%w\n%s", err, errs.String())
	}
	r.exit = time.Since(ctrlC).Seconds() * 1e3
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() * 1e6 / float64(count)
	r.peak = float64(usage.Maxrss) / 1024
	r.lost = lostIn(errs.String())
	r.delivered, err = countLines(path, target)
	return r, err
}

// waitReady opens a file until gizmo tells of it. In mode none nothing is told, so a fixed time has
// to do.
func waitReady(pid int, out *os.File, mode string, start time.Time) (float64, error) {
	if mode == "none" {
		time.Sleep(500 * time.Millisecond)
		return 0, nil
	}
	for time.Since(start) < 10*time.Second {
		if fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err == nil {
			_ = unix.Close(fd)
		}
		if data, err := os.ReadFile(out.Name()); err == nil && bytes.Contains(data, []byte("/dev/null")) {
			return time.Since(start).Seconds() * 1e3, nil
		}
		if err := syscall.Kill(pid, 0); err != nil {
			return 0, errors.New("gizmo ended before its first event")
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.New("no event within 10 s")
}

// lostIn reads the ledger that gizmo prints with -v.
func lostIn(text string) int {
	for line := range strings.Lines(text) {
		if i := strings.Index(line, " filtered, "); i >= 0 {
			n, _ := strconv.Atoi(strings.Fields(line[i+len(" filtered, "):])[0])
			return n
		}
	}
	return -1
}

// countLines counts the lines of a file that hold a word.
func countLines(path, word string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, r := 0, bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		if bytes.Contains(line, []byte(word)) {
			n++
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
