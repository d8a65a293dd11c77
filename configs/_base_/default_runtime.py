# Runtime of every config: where our parts come from, loops, hooks, logging.
default_scope = 'mmdet'
custom_imports = dict(imports=['mmvos'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmvos.CheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='youtube_vis/AP',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # memory that is freed goes back to the system, else a training on a CPU grows
    memory=dict(type='mmvos.ReturnMemoryHook'),
)
custom_hooks = [
    dict(type='mmvos.NonFiniteLossHook', action='stop'),
    dict(type='mmvos.IterationSeedHook'),
    dict(type='NumClassCheckHook'),  # the heads' number of classes against the data set's
]

val_cfg = dict(type='mmvos.VideoValLoop')
test_cfg = dict(type='mmvos.VideoTestLoop')

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
