/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_GPU_TYPES_H
#define __GADGET_GPU_TYPES_H

/*
 * The data about graphics processors that a bridge, a separate program, keeps in pinned
 * maps: see gpu_bridge_maps.h.  The bridge defines the layouts.  Members have
 * the compiler's own types, because this header works without vmlinux.h, too.
 */

#define GPU_SCHEMA_VERSION 1
#define GPU_MAX_DEVICES	   16

/* In gpu_device_primary: the process uses more than one. */
#define GPU_DEVICE_PRIMARY_MULTI 0xFF

/* Times are of the boot clock, in nanoseconds. */
struct gpu_meta {
	unsigned int schema_version;
	unsigned int n_devices;
	unsigned long long last_update_boottime_ns;
	unsigned int helper_pid;
	unsigned int _reserved;
	long long clock_offset_ns; /* real time less boot time */
};

/* Memory in bytes, use in percent. */
struct gpu_device_metrics {
	unsigned long long timestamp_ns;
	unsigned int sm_util_pct;
	unsigned int mem_util_pct;
	unsigned long long mem_total;
	unsigned long long mem_used;
	unsigned long long mem_reserved;
	unsigned int temp_c;
	unsigned int power_mw;
	unsigned int sm_clock_mhz;
	unsigned int mem_clock_mhz;
	unsigned long long throttle_reasons;
	unsigned long long pcie_tx_kbps;
	unsigned long long pcie_rx_kbps;
	unsigned int enc_util_pct;
	unsigned int dec_util_pct;
	unsigned long long nvlink_tx_kbps;
	unsigned long long nvlink_rx_kbps;
	unsigned long long ecc_corrected_total;
	unsigned long long ecc_uncorrected_total;
	unsigned int fan_speed_pct;
	unsigned int compute_mode;
};

/* A process on one device. */
struct gpu_pid_metrics {
	unsigned long long timestamp_ns;
	unsigned long long used_gpu_memory;
	unsigned int sm_util_pct;
	unsigned int mem_util_pct;
	unsigned int enc_util_pct;
	unsigned int dec_util_pct;
	unsigned char gpu_device;
	unsigned char mig_instance;
	unsigned short _pad;
};

/* A process on all devices. */
struct gpu_pid_metrics_aggregated {
	unsigned long long timestamp_ns;
	unsigned long long used_gpu_memory_total;
	unsigned int sm_util_pct_max;
	unsigned int mem_util_pct_max;
	unsigned char gpu_device_primary;
	unsigned char device_count;
	unsigned short _pad;
};

#endif /* __GADGET_GPU_TYPES_H */
