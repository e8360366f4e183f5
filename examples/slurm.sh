#!/bin/bash
#SBATCH --job-name=vocctl
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
# Train on every GPU of two nodes; requeue and resume when the time limit is reached or the job is preempted.
# sbatch examples/slurm.sh --data /shared/voc2009 --batch 64
set -euo pipefail

run=${RUN:-runs/seg/slurm-$SLURM_JOB_ID}
first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
arguments=("$@" --out "$run")
if [ -f "$run/run.json" ]; then
    arguments=(--resume "$run")
fi

srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" --rdzv-backend c10d \
    --rdzv-endpoint "$first_node:29500" --rdzv-id "$SLURM_JOB_ID" -m vocctl train-seg "${arguments[@]}" &
step=$!

requeue() {
    kill -TERM "$step" 2> /dev/null || true
    wait "$step" || true  # the state is saved now
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue TERM
wait "$step"
