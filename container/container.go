// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"cmp"
	"maps"
	"os"
	"time"
)

// Identity is what a runtime knows about a container. Unknown values are empty.
type Identity struct {
	// Runtime is the name of the runtime: "docker", "containerd", "cri-o", "podman"; "runc" or "crun" for a container
	// that no other runtime knows.
	Runtime string
	// ID is the full id of the container, which is unique on the machine.
	ID   string
	Name string
	// Image is the name of the image as the runtime shows it, ImageDigest its digest: "sha256:" and hex digits.
	Image, ImageDigest string
	// PID is the id of the container's first process in the pid namespace of gizmo; 0 if the container does not run.
	PID int
	// StartedAt is the time of the container's start; the zero time if it has not started, or the runtime does not know.
	StartedAt time.Time
	// Labels are the labels of the container. Nil means that the source does not know them; an empty map, that there are none.
	Labels map[string]string
	// Bundle is the folder that the OCI runtime made the container from; empty if the source does not know it.
	Bundle string
	// Pod is the Kubernetes pod of the container; its zero value means that there is none.
	Pod Pod
}

// Pod describes the Kubernetes pod of a container, from the container's labels or annotations.
type Pod struct {
	Namespace, Name, UID string
	// Container is the name of the container within its pod; empty for a sandbox.
	Container string
	// Labels are the labels of the pod, without those that the kubelet adds for runtimes; nil if the source does not know them.
	Labels map[string]string
	// Sandbox says that the container holds the pod's namespaces and runs nothing else ("pause").
	Sandbox bool
}

// InPod reports whether the container belongs to a Kubernetes pod.
func (i *Identity) InPod() bool { return i.Pod.Name != "" }

// completedBy fills the empty values of i from another source's identity of the same container.
func (i *Identity) completedBy(o *Identity) {
	i.Name, i.Image = cmp.Or(i.Name, o.Name), cmp.Or(i.Image, o.Image)
	i.ImageDigest, i.PID = cmp.Or(i.ImageDigest, o.ImageDigest), cmp.Or(i.PID, o.PID)
	if i.StartedAt.IsZero() {
		i.StartedAt = o.StartedAt
	}
	if i.Labels == nil {
		i.Labels = o.Labels
	}
	i.Bundle = cmp.Or(i.Bundle, o.Bundle)
	p, q := &i.Pod, &o.Pod
	p.Namespace, p.Name, p.UID = cmp.Or(p.Namespace, q.Namespace), cmp.Or(p.Name, q.Name), cmp.Or(p.UID, q.UID)
	p.Container, p.Sandbox = cmp.Or(p.Container, q.Container), p.Sandbox || q.Sandbox
	if p.Labels == nil {
		p.Labels = q.Labels
	}
}

func (i *Identity) equal(o *Identity) bool {
	return i.Runtime == o.Runtime && i.ID == o.ID && i.Name == o.Name && i.Image == o.Image && i.ImageDigest == o.ImageDigest &&
		i.PID == o.PID && i.Bundle == o.Bundle && i.StartedAt.Equal(o.StartedAt) && maps.Equal(i.Labels, o.Labels) &&
		i.Pod.Namespace == o.Pod.Namespace && i.Pod.Name == o.Pod.Name && i.Pod.UID == o.Pod.UID &&
		i.Pod.Container == o.Pod.Container && i.Pod.Sandbox == o.Pod.Sandbox && maps.Equal(i.Pod.Labels, o.Pod.Labels)
}

// Container is a container together with what the kernel knows about its first process. A Container that a [Set] returns never
// changes.
type Container struct {
	Identity
	// MountNS and NetNS are the inode numbers of the first process's namespaces; 0 if it had none.
	MountNS, NetNS uint64
	// HostNetwork says that the container has the network namespace of the host.
	HostNetwork bool
	// Cgroup is the path of the first process in the unified hierarchy, or in that of the memory controller:
	// "/docker/ID".
	Cgroup string
	// CgroupID is the id of a control group of the first process, the inode number of its folder: of the one in the unified hierarchy,
	// whose id bpf_get_current_cgroup_id returns in the container; of Cgroup, if the process is in the root of that hierarchy. 0 if
	// gizmo does not see the folder.
	CgroupID uint64
	// Node is the name of the Kubernetes node that the container's pod runs on; empty outside of pods.
	Node string
	// Began is the start of the first process, in nanoseconds since boot, rounded down to the kernel's clock ticks.
	Began int64
}

// Compare orders containers by their runtimes, names and ids.
func (c *Container) Compare(o *Container) int {
	return cmp.Or(cmp.Compare(c.Runtime, o.Runtime), cmp.Compare(c.Name, o.Name), cmp.Compare(c.ID, o.ID))
}

func (c *Container) equal(o *Container) bool {
	return c.Identity.equal(&o.Identity) && c.MountNS == o.MountNS && c.NetNS == o.NetNS &&
		c.HostNetwork == o.HostNetwork && c.Cgroup == o.Cgroup && c.CgroupID == o.CgroupID && c.Began == o.Began
}

// OnKubernetes reports whether this machine is a node of a Kubernetes cluster: whether the kubelet has made control groups
// or a folder for pods.
func OnKubernetes() bool {
	for _, path := range []string{
		"/var/lib/kubelet/pods", "/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/kubepods.slice", "/sys/fs/cgroup/memory/kubepods",
		"/sys/fs/cgroup/memory/kubepods.slice",
	} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}
